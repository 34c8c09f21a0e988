"""Fixtures of the analysis wing's tests."""

from __future__ import annotations

from dataclasses import replace

import pytest

from analysis.inputs.backbone.features import FeatureExtractor
from fima.checkpoints import untrained_backbone


@pytest.fixture(scope="module")
def tiny() -> FeatureExtractor:
    """The untrained tiny backbone on clips of 8 × 24² pixels."""
    loaded = untrained_backbone("tiny", seed=0)
    return FeatureExtractor(replace(loaded, input=loaded.input.replace(num_frames=8, size=24)))
