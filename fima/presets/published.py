"""The presets by task and name; what they mean is in `fima.presets.supervised`. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from fima.presets.published_finetune import COCLR, FAME, FIMA, MACLR, MSCL, SEVERE, SLOWFAST
from fima.presets.published_linear import (
    COCLR_FEATURES,
    COCLR_LINEAR,
    FIMA_LINEAR,
    MACLR_LINEAR,
    SEVERE_LINEAR,
    TCLR_LINEAR,
)
from fima.presets.supervised import SupervisedPreset

__all__ = ["ABSENT", "PRESETS"]

PRESETS: Mapping[tuple[str, str], SupervisedPreset] = {
    (one.task, one.name): one
    for one in (
        FIMA,
        replace(FIMA, name="fima-hmdb51", dropout=0.5, notes=FIMA.notes[1:]),
        FAME,
        MACLR,
        SLOWFAST,
        COCLR,
        MSCL,
        SEVERE,
        replace(
            SEVERE,
            name="severe-ssv2",
            source="fmthoker/SEVERE-BENCHMARK configs/benchmark/something",
            epochs=22,
            milestones=(12, 17, 20),
            clips_per_epoch=2,
        ),
        replace(SEVERE, name="severe-1000", examples=1000),
        FIMA_LINEAR,
        MACLR_LINEAR,
        TCLR_LINEAR,
        COCLR_LINEAR,
        COCLR_FEATURES,
        SEVERE_LINEAR,
        replace(
            SEVERE_LINEAR,
            name="severe-kinetics",
            source="fmthoker/SEVERE-BENCHMARK configs/benchmark/kinetics/…-linear",
            batch_size=64,
            epochs=40,
            ours={"frame_stride": 2, "milestones": (15, 25, 35)},
        ),
    )
}
"""(task, name) → preset."""

ABSENT: Mapping[tuple[str, str], str] = {
    ("finetune", "tclr"): "fine-tuning settings are not in TCLR's public facts that we have",
    ("linear", "fame"): "FAME's code has no linear probe",
    ("linear", "mscl"): "MSCL's linear probe is not in the public facts that we have",
}
"""(task, name) → why there is none."""
