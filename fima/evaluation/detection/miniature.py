"""A miniature of AVA, under its name of earlier versions; see `fima.data.shapes.detection`."""

from fima.data.shapes.detection import ON_THE_LEFT, ON_THE_RIGHT, write_miniature

__all__ = ["ON_THE_LEFT", "ON_THE_RIGHT", "write_miniature"]
