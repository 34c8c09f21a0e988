"""Figures of FIMA's own mechanism."""

from analysis.plotting.mechanism.figure import (
    draw_mechanism,
    draw_mechanism_attention,
    draw_mechanism_motion,
    draw_mechanism_scores,
)

__all__ = ["draw_mechanism", "draw_mechanism_attention", "draw_mechanism_motion", "draw_mechanism_scores"]
