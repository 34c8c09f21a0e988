"""Measures: arrays or tensors in, scores out. They know no model, no file and no drawing."""
