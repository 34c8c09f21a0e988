"""Figures drawn from the arrays of a study.

Axes-level functions take axes and return them, or the image that a color bar needs. Nothing here touches pyplot or
global settings: figures are made inside ``style.printed()`` and returned.
"""
