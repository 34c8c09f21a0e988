"""From given files or a data set to clips, with the truth where it is known."""
