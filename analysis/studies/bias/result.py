"""Background-bias gaps of several checkpoints on the same drawn videos, and what a run of them leaves."""

from __future__ import annotations

import html
import importlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.inputs.backbone.checkpoints import plan_columns
from analysis.inputs.sessions import Session, open_sessions
from analysis.measures.common.numbers import minus
from analysis.measures.common.statistics import PairedDifference, Summary, paired_difference, summarize
from analysis.output import output_folder, timestamp, write_json, write_npz
from analysis.settings import Settings, as_names
from analysis.studies.bias.measuring import BiasGap, BiasWorlds, bias_worlds, measure_bias
from analysis.studies.common.files import picture_base64, picture_html, save_picture
from analysis.studies.common.provenance import provenance
from fima.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["BIAS_FILES", "SCORES", "BiasResult", "compare_bias"]

SCORES = ("correlated", "swapped", "gap")
_NO_SAY = ("motion_input", "boundary", "normalize", "space", "crop", "command")


@dataclass(frozen=True)
class BiasResult:
    """Gaps of checkpoints on the same videos.

    Attributes:
        gaps: Name of the checkpoint → what its probe got right.
        worlds: The videos.
        asked: Regime, videos of each split, correlation, seed.
        provenance: Name → where that backbone comes from.
        command: As typed.
    """

    gaps: dict[str, BiasGap]
    worlds: BiasWorlds
    asked: dict[str, Any]
    provenance: dict[str, dict[str, Any]]
    command: str

    @property
    def untrained(self) -> list[str]:
        """Names of the checkpoints with fixed random weights."""
        return [name for name, given in self.provenance.items() if not given["checkpoint"]["trained"]]

    def scores(self, name: str) -> dict[str, Summary]:
        """Accuracies and gap of one checkpoint, in [-1, 1], with intervals over videos, paired for the gap."""
        gap, level = self.gaps[name], 1 / self.worlds.classes
        return {
            score: summarize(
                getattr(gap, score),
                chance=0.0 if score == "gap" else level,
                limits=(-1, 1) if score == "gap" else (0, 1),
            )
            for score in SCORES
        }

    def differences(self) -> dict[str, PairedDifference]:
        """The gap of each other checkpoint minus that of the first, video by video."""
        first, *others = self.gaps
        return {name: paired_difference(self.gaps[first].gap, self.gaps[name].gap) for name in others}

    def arrays(self) -> dict[str, np.ndarray]:
        """What the figure draws, and every video, of K checkpoints and V test videos.

        Returns:
            ``name`` (K,); ``summary_correlated``, ``summary_swapped``, ``summary_gap`` (K, 4): mean, low, high, chance;
            ``correlated``, ``swapped`` (K, V) bool; ``video_id``, ``label``, ``background_*`` (V,).
        """
        patterns = self.worlds.patterns()
        scores = [self.scores(name) for name in self.gaps]
        return {
            "name": np.array(list(self.gaps)),
            "video_id": np.array([record.video_id for record in self.worlds.test]),
            "label": np.array([record.label for record in self.worlds.test]),
            "background_correlated": patterns[0],
            "background_swapped": patterns[1],
            "correlated": np.stack([gap.correlated for gap in self.gaps.values()]),
            "swapped": np.stack([gap.swapped for gap in self.gaps.values()]),
            **{f"summary_{score}": np.stack([some[score].row for some in scores]) for score in SCORES},
        }

    def report(self) -> dict[str, Any]:
        """The content of the json file."""
        return {
            "measure": "bias",
            "asked": self.asked,
            "checkpoints": {
                name: {
                    "untrained": name in self.untrained,
                    "scores": {score: vars(summary) for score, summary in self.scores(name).items()},
                    "probe_strength": gap.strength,
                    "validation_accuracy": gap.validation_accuracy,
                    "provenance": self.provenance[name],
                }
                for name, gap in self.gaps.items()
            },
            "gap_minus_first": {name: vars(difference) for name, difference in self.differences().items()},
            "command": self.command,
            "created": timestamp(),
        }

    def figure(self) -> Figure:
        """Draw both accuracies of each checkpoint."""
        draw = importlib.import_module("analysis.plotting.bias").draw_bias
        figure: Figure = draw(self.arrays(), self.asked, self.untrained)
        return figure

    def save(
        self, out: str | Path, formats: tuple[str, ...] = ("png",), *, into: Path | None = None, overwrite: bool = False
    ) -> list[Path]:
        """Write page, figure, arrays and numbers; all files appear together or none.

        Args:
            out: The folder in the end.
            formats: Formats of the figure: ``png``, ``svg``, ``pdf``.
            into: A scratch folder of ``out`` that the caller already holds.
            overwrite: Replace another comparison.

        Returns:
            Where the files are once the folder is complete.
        """
        with self._folder(out, overwrite=overwrite) if into is None else nullcontext(into) as folder:
            figure = self.figure()
            for kind in formats:
                save_picture(figure, folder / f"bias.{kind}", kind)
            write_npz(folder / "bias.npz", self.arrays())
            write_json(folder / "bias.json", self.report())
            self._write_page(folder, figure)
            return [Path(out) / path.name for path in sorted(folder.iterdir())]

    def _write_page(self, folder: Path, figure: Figure) -> None:
        with TemporaryDirectory() as scratch:
            picture = Path(scratch) / "bias.png"
            save_picture(figure, picture, "png")
            importlib.import_module("analysis.pages.bias").write_page(folder / "index.html", self, picture)

    def _folder(self, out: str | Path, *, overwrite: bool) -> AbstractContextManager[Path]:
        return output_folder(out, "bias", {"command": self.command}, names=BIAS_FILES, overwrite=overwrite)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        picture = picture_base64(self.figure())
        return {"text/plain": "\n".join(self.lines()), "image/png": picture, "text/html": self._html(picture)}

    def _html(self, picture: str) -> str:
        lines = "".join(f"<li>{html.escape(line)}</li>" for line in self.lines())
        return picture_html(picture, "accuracies of the motion probe") + f"<ul>{lines}</ul>"

    def lines(self) -> list[str]:
        """The numbers, a line for each checkpoint."""
        said = []
        for name in self.gaps:
            scores = self.scores(name)
            correlated, swapped, gap = (scores[score] for score in SCORES)
            said.append(
                f"{name}: {correlated.mean:.1%} right with correlated, {swapped.mean:.1%} with swapped backgrounds; "
                f"gap {minus(f'{100 * gap.mean:.1f}')} points [{minus(f'{100 * gap.low:.1f}, {100 * gap.high:.1f}')}]; "
                f"{gap.num_videos} videos, chance {1 / self.worlds.classes:.0%}"
            )
        return said


BIAS_FILES = ("index.html", "bias.npz", "bias.json")
"""Beside the figure."""


def compare_bias(
    settings: Settings,
    checkpoints: Sequence[str] | None = None,
    *,
    regime: str = "camera",
    videos: tuple[int, int] = (800, 500),
    correlation: float = 0.9,
    command: str = "",
    progress: Callable[[int, int], None] | None = None,
) -> BiasResult:
    """The background-bias gap of checkpoints on the same drawn videos.

    Args:
        settings: Which backbones, and how they are read; ``ckpt``, ``data`` and ``split`` are set here.
        checkpoints: Files, shipped names, ``random`` or ``random:SEED``; by default ``settings.checkpoint``.
        regime: A key of `fima.data.shapes.REGIMES`, also with knobs: ``natural,textures=DIR``.
        videos: Number of videos for training and test, at least 2 each; half as many as for the test choose the
            regularization.
        correlation: Share of the videos whose background tells the class, in [0, 1].
        command: As typed.
        progress: Called with (videos done, videos in all).

    Raises:
        InputError, CheckpointError: For what cannot be used, before anything is computed.
    """
    if min(videos) < 2:
        raise InputError(f"--videos: give at least 2 videos to train on and 2 to test, got {videos[0]} and {videos[1]}")
    given = list(as_names("ckpts", checkpoints) or [settings.checkpoint])
    worlds = bias_worlds(regime, (videos[0], videos[1] // 2, videos[1]), correlation=correlation)
    data = f"shapes:{regime},correlation={correlation},videos={videos[1]}"
    asked = {
        "regime": regime,
        "videos": {split: len(part) for split, part in zip(("train", "val", "test"), worlds.parts, strict=False)},
        "correlation": correlation,
        "seed": settings.seed,
    }
    sources = plan_columns(given, seed=settings.seed, trust=settings.trust_checkpoint)
    sessions = open_sessions(replace(settings, data=data, split="test"), sources, same_clips=False)
    gaps = {}
    for place, (name, session) in enumerate(sessions.items()):
        tell = None if progress is None else _counting(progress, place * len(worlds), len(given) * len(worlds))
        gaps[name] = _measure(session, worlds, tell)
    return BiasResult(gaps, worlds, asked, {name: _source(session) for name, session in sessions.items()}, command)


def _measure(session: Session, worlds: BiasWorlds, progress: Callable[[int], None] | None) -> BiasGap:
    extractor, settings = session.extractor, session.settings
    return measure_bias(
        extractor.loaded, worlds, layer=settings.layer, batch_size=settings.batch_size, device=extractor.device,
        progress=progress,
    )  # fmt: skip


def _counting(progress: Callable[[int, int], None], before: int, total: int) -> Callable[[int], None]:
    return lambda done: progress(before + done, total)


def _source(session: Session) -> dict[str, Any]:
    """A study's provenance without what has no say here."""
    return {name: value for name, value in provenance(session, "bias").items() if name not in _NO_SAY}
