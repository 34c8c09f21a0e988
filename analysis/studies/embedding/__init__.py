"""A map of clips by their features (``fima-analyze embed``)."""
