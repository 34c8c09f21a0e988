"""What a frozen backbone is worth: features of a data set, and probes on them."""
