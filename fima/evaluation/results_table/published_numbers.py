"""Numbers that other code's README files state, as far as we have them; never our own. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fima.errors import InputError

__all__ = ["PUBLISHED", "Published", "published"]


@dataclass(frozen=True)
class Published:
    """A number of a source.

    Attributes:
        group: what ``--published`` asks for it by.
        source: where it is stated.
        method: that it is of, with its pre-training data.
        arch: its network.
        task: a key of `fima.evaluation.results_table.number.TASKS`.
        data: "UCF101", "HMDB51", "Kinetics-400", "Something-Something v2" or "AVA".
        metric: as our results name it.
        percent: in [0, 100].
    """

    group: str
    source: str
    method: str
    arch: str
    task: str
    data: str
    metric: str
    percent: float


_FIMA = ("fima", "FIMA README.md")
_COCLR = ("coclr", "CoCLR README.md")
_SLOWFAST = ("slowfast", "SlowFast projects/contrastive_ssl/README.md")
_U, _H, _K, _S, _A = "UCF101", "HMDB51", "Kinetics-400", "Something-Something v2", "AVA"


def _rows(source: tuple[str, str], method: str, arch: str, *cells: tuple[str, str, str, float]) -> Iterator[Published]:
    for task, data, metric, percent in cells:
        yield Published(*source, method, arch, task, data, metric, percent)


def _tuned(*cells: tuple[str, float]) -> list[tuple[str, str, str, float]]:
    return [("finetune", data, "top-1", percent) for data, percent in cells]


def _found(percent: float) -> tuple[str, str, str, float]:
    return ("retrieval", _U, "recall@1", percent)


PUBLISHED: tuple[Published, ...] = (
    *_rows(_FIMA, "MoCo baseline (UCF101)", "I3D", *_tuned((_U, 76.7), (_H, 48.8))),
    *_rows(_FIMA, "MoCo baseline (UCF101)", "I3D", ("linear", _U, "top-1", 58.1), ("linear", _H, "top-1", 26.7)),
    *_rows(_FIMA, "FIMA (UCF101)", "I3D", *_tuned((_U, 84.2), (_H, 57.8))),
    *_rows(_FIMA, "FIMA (UCF101)", "I3D", ("linear", _U, "top-1", 75.3), ("linear", _H, "top-1", 42.8)),
    *_rows(("fame", "FAME README.md"), "FAME (K400)", "I3D", *_tuned((_U, 88.9))),
    *_rows(
        ("tclr", "TCLR README.md"),
        "TCLR (UCF101)",
        "R3D-18",
        *_tuned((_U, 82.0)),
        ("linear", _U, "top-1", 69.9),
        _found(56.1),
    ),
    *_rows(_COCLR, "CoCLR, RGB (UCF101)", "S3D", _found(51.8)),
    *_rows(_COCLR, "CoCLR, flow (UCF101)", "S3D", _found(48.4)),
    *_rows(_COCLR, "InfoNCE, RGB (UCF101)", "S3D", ("linear", _U, "top-1", 46.8), _found(33.1)),
    *_rows(_COCLR, "InfoNCE, flow (UCF101)", "S3D", _found(45.2)),
    *_rows(_COCLR, "CoCLR, RGB (K400)", "S3D", *_tuned((_U, 87.89)), _found(45.6)),
    *_rows(_COCLR, "CoCLR, flow (K400)", "S3D", *_tuned((_U, 85.27)), _found(44.4)),
    *_rows(_COCLR, "CoCLR, two streams (K400)", "S3D", *_tuned((_U, 90.61))),
    *_rows(
        _SLOWFAST,
        "MoCo, ρ=2 (K400)",
        "Slow-R50 8×8",
        *_tuned((_U, 91.3), (_S, 52.7)),
        ("linear", _K, "top-1", 66.6),
        ("detection", _A, "mAP", 19.7),
    ),
    *_rows(
        _SLOWFAST,
        "MoCo, ρ=4 (K400)",
        "Slow-R50 8×8",
        *_tuned((_U, 94.5), (_S, 54.0)),
        ("linear", _K, "top-1", 71.0),
        ("detection", _A, "mAP", 21.9),
    ),
    *_rows(_SLOWFAST, "BYOL, ρ=2 (K400)", "Slow-R50 8×8", *_tuned((_U, 94.0), (_S, 54.4))),
    *_rows(_SLOWFAST, "BYOL, ρ=4 (K400)", "Slow-R50 8×8", *_tuned((_U, 94.7))),
    *_rows(_SLOWFAST, "BYOL (K400)", "Slow-R50 16×4", *_tuned((_U, 95.4))),
    *_rows(_SLOWFAST, "SimCLR (K400)", "Slow-R50", *_tuned((_U, 88.3), (_S, 51.4)), ("detection", _A, "mAP", 17.5)),
    *_rows(_SLOWFAST, "SwAV (K400)", "Slow-R50", *_tuned((_U, 90.2), (_S, 52.5)), ("detection", _A, "mAP", 19.2)),
)
"""From those files as they were when this was written; their settings are, as far as known, in
`fima.presets.published` and `fima.presets.retrieval`. CoCLR's own issues #10 and #54 report its figures moving
by +3 and −8. BYOL's on AVA is left out: its table does not say of which of the three rows it is, as we have it."""


def published(names: list[str]) -> tuple[Published, ...]:
    """The numbers of sources.

    Args:
        names: groups; none: all.

    Raises:
        InputError: for a name that there is not.
    """
    known = dict.fromkeys(one.group for one in PUBLISHED)
    for name in names:
        if name not in known:
            raise InputError(f"--published must be some of {', '.join(known)}, got {name!r}")
    return tuple(one for one in PUBLISHED if not names or one.group in names)
