"""Video files, data sets and frame sampling; knows no model.

The submodules are imported by name (``from fima.data.video import VideoReader``): only ``video`` needs torch.
"""
