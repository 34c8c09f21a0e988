"""Class-agnostic activation maps over clips of many videos, and over whole videos."""

from analysis.studies.cam.study import BY_CLIP, run

__all__ = ["BY_CLIP", "run"]
