"""A map of clips by their features (``fima-analyze embedding``)."""

from analysis.studies.embedding.study import run

__all__ = ["run"]
