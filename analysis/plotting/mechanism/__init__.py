"""Figures of FIMA's own mechanism."""

from analysis.plotting.mechanism.figure import draw_mechanism

__all__ = ["draw_mechanism"]
