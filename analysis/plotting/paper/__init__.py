"""Figures laid out for a paper: a journal's width to the point, text of 7 pt and more, a caption with the numbers.

``analysis.compare.paper_figures.make_figure`` makes one; nothing here imports matplotlib or torch.
"""

__all__ = ["FIGURES", "FORMATS"]

FIGURES = {
    "3": "activation maps of several clips: frame, then each checkpoint",
    "4": "activation of RGB and of motion over the time of a clip, for each checkpoint",
    "5a": "spatial affinity of RGB to motion: matrices of all checkpoints on one color scale",
    "5b": "temporal similarity of RGB to motion: over the offset, and aligned against misaligned",
}
"""The numbers that the figures have in the FIMA paper, and what they show."""

FORMATS = ("pdf", "svg", "png")
