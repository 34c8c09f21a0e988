"""FIMA's own mechanism, seen (``fima-analyze mechanism``)."""
