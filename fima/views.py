"""Views of clips, with their boxes: the public name of `fima.transforms.views`."""

from fima.transforms.views import Crops, Views, cut, cut_flow, draw_crops, make_views

__all__ = ["Crops", "Views", "cut", "cut_flow", "draw_crops", "make_views"]
