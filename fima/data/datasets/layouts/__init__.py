"""One reader for each way data sets lie on disk."""
