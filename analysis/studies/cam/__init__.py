"""Class-agnostic activation maps over clips of many videos, and over whole videos."""

from analysis.studies.cam.study import run

__all__ = ["run"]
