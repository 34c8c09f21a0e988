"""What a report is to hold, settled (and refused) before anything is made."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from analysis.inputs.backbone.checkpoints import Source, newest_checkpoint, short_names
from analysis.inputs.backbone.twins import has_untrained
from analysis.inputs.sessions import open_sessions
from analysis.measures.registry import MEASURES
from analysis.plotting.common.films import folder_names
from analysis.report.parameters import has_notebook, notebook_parameters, notebook_path
from analysis.settings import Settings, untrained_seed
from analysis.studies import STUDIES, Session
from fima.errors import InputError
from fima.files.reading import parse_yaml

__all__ = ["Plan", "Report", "labels", "make_plan"]


@dataclass(frozen=True)
class Report:
    """What to put into a report.

    Attributes:
        settings: Videos and clips, the same for every checkpoint; its ``ckpt`` is not used.
        checkpoints: Paths; None is the built-in backbone.
        notebooks: Names, such as ``cam``, of measures that run as notebooks and are kept as such; None is all that
            have one.
        out: The report's folder.
        parameters: Further settings (or parameters of the notebooks) as text, read as YAML.
        overwrite: Write into a folder that holds a report already.
        measures: Keys of ``analysis.studies.STUDIES``; None is all that apply, but for those that cost most.
    """

    settings: Settings
    checkpoints: tuple[str | None, ...]
    notebooks: tuple[str, ...] | None
    out: Path
    parameters: Mapping[str, str] = field(default_factory=dict)
    overwrite: bool = False
    measures: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Plan:
    """What will be done.

    Attributes:
        sessions: Label of the checkpoint, unique, also of its folder → session; they share decoded frames.
        out: The report's folder.
        measures: In the order of the page.
        notebooks: Measures that run as notebooks, with the parameters that each takes.
        asked: Measures that were asked for by name: where one does not apply, that is an error.
        parameters: Of the notebooks, beyond the settings.
        command: Repeats the report, but for ``--out``.
    """

    sessions: dict[str, Session]
    out: Path
    measures: list[str]
    notebooks: dict[str, set[str]]
    asked: frozenset[str]
    parameters: dict[str, Any]
    command: str

    @property
    def untrained(self) -> bool:
        """Whether one of the checkpoints is untrained, so that the others need no twin."""
        return has_untrained(self.sessions)

    @property
    def same_clips(self) -> bool:
        """Whether all see the same clips; frames and stride decide where one lies."""
        specs = [session.spec for session in self.sessions.values()]
        return all((a.num_frames, a.frame_stride) == (b.num_frames, b.frame_stride) for a, b in pairwise(specs))


def make_plan(report: Report) -> Plan:
    """Open every checkpoint and list the videos.

    Raises:
        InputError, CheckpointError, VideoError, FileNotFoundError: For whatever of the input cannot be used.
    """
    measures = _measures(report)
    notebooks = {name: notebook_parameters(name) for name in measures if _as_notebook(name, report)}
    extra = {name: _value(name, text) for name, text in report.parameters.items()}
    _check_known(extra, notebooks)
    settings = Settings.from_parameters({**report.settings.changed(), **_settings_among(extra), "ckpt": None})
    return Plan(
        sessions=_open(report, settings),
        out=report.out,
        measures=measures,
        notebooks=notebooks,
        asked=frozenset(report.measures or ()) | frozenset(report.notebooks or ()),
        parameters=extra,
        command=_command(report, settings),
    )


def _measures(report: Report) -> list[str]:
    for name in (*(report.measures or ()), *(report.notebooks or ())):
        if name not in STUDIES:
            raise InputError(f"measure {name!r}: there is no such measure; known: {', '.join(STUDIES)}")
    for name in report.notebooks or ():
        notebook_path(name)
        if report.measures is not None and name not in report.measures:
            raise InputError(f"--notebook {name}: is not among the measures {', '.join(report.measures)}")
    asked = {*(report.measures or ()), *(report.notebooks or ())}
    return [n for n in STUDIES if n in asked or (report.measures is None and not MEASURES[n].on_request)]


def _as_notebook(name: str, report: Report) -> bool:
    return has_notebook(name) if report.notebooks is None else name in report.notebooks


def _value(name: str, text: str) -> Any:
    try:
        return parse_yaml(text, name)
    except InputError:
        raise InputError(f"parameter {name} must be a YAML value, got {text!r}") from None


def _check_known(extra: Mapping[str, Any], notebooks: Mapping[str, set[str]]) -> None:
    known = {*Settings.__dataclass_fields__}.union(*notebooks.values()) - {"out", "ckpt"}
    for name in extra:
        if name not in known:
            raise InputError(f"parameter {name!r} is in none of the notebooks; known: {', '.join(sorted(known))}")


def _settings_among(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in parameters.items() if name in Settings.__dataclass_fields__}


def _open(report: Report, settings: Settings) -> dict[str, Session]:
    sources = []
    for label, ckpt in labels(report.checkpoints).items():
        word = Settings(ckpt=ckpt).checkpoint
        seed = untrained_seed(word, settings.seed)
        file = None if seed is not None else newest_checkpoint(word, trust=settings.trust_checkpoint)
        sources.append(Source(label, file, seed))
    return open_sessions(settings, sources, same_clips=False)


def labels(checkpoints: Iterable[str | None]) -> dict[str, str | None]:
    """Folder name → checkpoint, unique: the name that a comparison gives it, or ``random`` as it was asked for."""
    given = list(checkpoints)
    words = [Settings(ckpt=ckpt).checkpoint for ckpt in given]
    named = zip(words, short_names(words), strict=True)
    names = folder_names(word if untrained_seed(word, 0) is not None else name for word, name in named)
    return dict(zip(names, given, strict=True))


def _command(report: Report, settings: Settings) -> str:
    words = ["--ckpt", *(Settings(ckpt=ckpt).checkpoint for ckpt in report.checkpoints)]
    words += ["--measure", *report.measures] if report.measures else []
    if report.notebooks != ():
        words += ["--notebooks"] if report.notebooks is None else ["--notebook", *report.notebooks]
    for name, value in report.parameters.items():
        words += [] if name in Settings.__dataclass_fields__ else ["-p", name, value]
    return f"{settings.command('report')} {shlex.join(words)}"
