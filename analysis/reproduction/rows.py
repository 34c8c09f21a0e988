"""What the table of real clips holds: checkpoints, their motion and finer maps, untrained twins, and plain maps."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from analysis.compare.columns import StepProgress, Steps
from analysis.inputs.backbone.checkpoints import plan_columns
from analysis.inputs.backbone.twins import untrained_twin
from analysis.inputs.sessions import Session, make_session, open_session
from analysis.inputs.video.sharing import share_videos
from analysis.inputs.video.videos import VideoList, list_videos
from analysis.measures.registry import full_name
from analysis.output import to_plain, versions
from analysis.settings import Settings
from analysis.studies import Study, load_study, run
from fima.errors import InputError
from fima.models.registry import is_custom

__all__ = ["COLUMNS", "MAPS", "Row", "measure_rows"]

_SCORES = {"localize": ("ring_auroc", "auroc", "energy", "iou"), "mover": ("picture", "world", "control", "seam")}
COLUMNS = {(measure, score): full_name(measure, score) for measure, scores in _SCORES.items() for score in scores}
"""Measure and score → what stands above the column."""
MAPS = {"center_": "centered Gaussian", "difference_": "frame difference"}
"""Maps that need no network: prefix of their scores → name."""

Studies = dict[str, Study]
"""Measure → study, of which only the scores of one map are left, under their plain names."""


@dataclass(frozen=True, eq=False)
class Row:
    """A row of the table.

    Attributes:
        name: What stands in front.
        studies: Measure → its scores.
        checkpoint: The trained checkpoint that it is a map of; empty for what is untrained and for plain maps.
        against: Of a checkpoint itself: name → what it is compared with on the same clips.
        left_out: Measure → why it has no scores.
    """

    name: str
    studies: Studies
    checkpoint: str = ""
    against: dict[str, Studies] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)


def measure_rows(
    checkpoints: Sequence[str],
    settings: Settings,
    *,
    dense: int = 4,
    kept: Path | None = None,
    progress: StepProgress | None = None,
) -> list[Row]:
    """Measure what the table holds.

    Args:
        checkpoints: As ``--ckpt`` takes them.
        settings: Videos, masks and clips; its ``ckpt`` is not used.
        dense: Cells per cell of the network of a further row for each checkpoint (localization alone); 1: none.
        kept: Folder of studies: those of an earlier run are taken from there, and new ones saved.
        progress: Called after each video with (videos done, in all, name of the step).

    Raises:
        InputError, CheckpointError, VideoError, FileNotFoundError: One line that names what cannot be used.
    """
    listed = share_videos(list_videos(settings))
    sources = plan_columns(checkpoints, seed=settings.seed, trust=settings.trust_checkpoint)
    keeper = _Keeper(kept, Steps(progress, len(sources) * (3 if dense == 1 else 4)))
    twins: dict[str, tuple[str, Study]] = {}
    found = []
    for source in sources:
        own = replace(settings, ckpt=source.ckpt or f"random:{source.seed}", dense=1)
        found.append(_measure(source.name, open_session(own, videos=listed), keeper, dense, twins))
    rows = [rows[0] for rows in found]
    for row in rows:
        row.against.update({other.name: other.studies for other in rows if other is not row})
    own_maps = [row for rows in found for row in rows[1:]]
    untrained = {label: row.against[label] for row in rows for label, _ in twins.values() if label in row.against}
    plain = {label: rows[0].against[label] for label in MAPS.values()}
    return [*rows, *own_maps, *(Row(name, studies) for name, studies in (untrained | plain).items())]


class _Keeper:
    """Runs studies, or reads again what an earlier run kept of the same backbone, videos, settings and versions."""

    def __init__(self, folder: Path | None, steps: Steps) -> None:
        self._folder, self._steps = folder, steps

    def run(self, measure: str, name: str, session: Session) -> Study:
        progress = self._steps.begin(f"{measure} of {name}")
        if self._folder is None:
            return run(measure, session, progress)
        folder = self._folder / re.sub(r"[^\w.]+", "-", name)
        try:
            study = load_study(folder / measure)
            if _asked(session) == _answered(study):
                return study
        except (FileNotFoundError, InputError, KeyError):  # there is none, or of another kind
            pass
        study = run(measure, session, progress)
        study.save(folder, (), films=False, overwrite=True)
        return study


def _asked(session: Session) -> object:
    loaded = session.loaded
    return to_plain([loaded.arch, loaded.sha256, loaded.input.to_dict(), session.settings.decisive(),
                     len(session.videos), versions()])  # fmt: skip


def _answered(study: Study) -> object:
    about = study.provenance
    decisive = Settings.from_parameters(about["settings"]).decisive()
    checkpoint, videos = about["checkpoint"], about["inputs"]["num_videos"]
    return to_plain([checkpoint["arch"], checkpoint["sha256"], about["input"], decisive, videos, about["versions"]])


def _measure(
    name: str, session: Session, keeper: _Keeper, dense: int, twins: dict[str, tuple[str, Study]]
) -> list[Row]:
    """The rows of a checkpoint: its own, that of its motion map, and that of its finer map."""
    full, left_out = {"localize": keeper.run("localize", name, session)}, {}
    try:
        full["mover"] = keeper.run("mover", name, session)
    except InputError as error:  # the masks can be read, as localization shows: no object has a place for a copy
        left_out["mover"] = str(error)
    against = {label: _scores_of(full, prefix) for prefix, label in MAPS.items()}
    if not session.loaded.trained:
        return [Row(name, _scores_of(full), "", against, left_out)]
    against = _twin_of(name, session, full, keeper, twins) | against
    rows = [
        Row(name, _scores_of(full), name, against, left_out),
        Row(f"{name}, motion map", _scores_of(full, "motion_"), name),
    ]
    if dense > 1:
        videos = VideoList(session.videos, session.missing)
        finer = make_session(replace(session.settings, dense=dense), session.loaded, videos)
        label = f"{name}, --dense {dense}"
        rows.append(Row(label, _scores_of({"localize": keeper.run("localize", label, finer)}), name))
    return rows


def _twin_of(
    name: str, session: Session, full: Studies, keeper: _Keeper, twins: dict[str, tuple[str, Study]]
) -> dict[str, Studies]:
    """The untrained twin by name, measured once for each architecture and input."""
    twin = untrained_twin(session)
    if twin is None:
        return {}
    loaded, label = session.loaded, f"untrained {twin.loaded.arch}"
    key = name if is_custom(loaded.arch) else repr((loaded.arch, loaded.input, loaded.settings))
    if key not in twins:
        label += f" of {name}" if label in {known for known, _ in twins.values()} else ""
        twins[key] = label, keeper.run("localize", label, twin)
    label, localized = twins[key]
    mover = {measure: study for measure, study in full.items() if measure == "mover"}
    return {label: _scores_of({"localize": localized}) | _scores_of(mover, "twin_")}


def _scores_of(studies: Mapping[str, Study], prefix: str = "") -> Studies:
    """The scores of one map, under plain names, so that any two maps can be compared in pairs."""
    return {measure: _renamed(study, prefix) for measure, study in studies.items()}


def _renamed(study: Study, prefix: str) -> Study:
    names = {score: f"{prefix}{score}" for measure, score in COLUMNS if measure == study.measure}
    known = {score: name for score, name in names.items() if name in study.scores}
    return replace(
        study,
        scores={score: study.scores[name] for score, name in known.items()},
        video_scores={"video_id": study.video_scores["video_id"]}
        | {score: study.video_scores[name] for score, name in known.items()},
        references=frozenset(),
    )
