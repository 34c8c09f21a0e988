"""The background-bias gap (``fima-analyze bias``)."""
