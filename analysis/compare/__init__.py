"""Several checkpoints on the same clips, side by side: figures on one scale, scores with paired intervals.

``fima-analyze compare``, ``compare.ipynb`` and Python run the same ``compare``.
"""

from analysis.compare.result import COMPARE_FILES, Comparison
from analysis.compare.running import compare
from analysis.compare.training import TrainingStep
from analysis.inputs.backbone.checkpoints import DEFAULT_CHECKPOINTS, Source
from analysis.studies.common.differences import Difference, compare_scores

__all__ = [
    "COMPARE_FILES",
    "DEFAULT_CHECKPOINTS",
    "Comparison",
    "Difference",
    "Source",
    "TrainingStep",
    "compare",
    "compare_scores",
]
