"""Video files, data sets and frame sampling; knows no model.

The submodules are imported by name (``from fima.data.readers.file import VideoReader``): only ``video`` needs torch.
"""
