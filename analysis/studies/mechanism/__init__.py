"""FIMA's own mechanism, seen (``fima-analyze mechanism``)."""

from analysis.studies.mechanism.study import run

__all__ = ["run"]
