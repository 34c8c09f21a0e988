"""Videos re-encoded for training, in several processes (``fima prepare``)."""
