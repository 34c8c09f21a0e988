"""Attribution over clips of many videos (``fima-analyze attribution``)."""

from analysis.studies.attribution.cost import cost
from analysis.studies.attribution.study import run

__all__ = ["cost", "run"]
