"""Attribution over clips of many videos (``fima-analyze attribution``)."""

from analysis.studies.attribution.study import run

__all__ = ["run"]
