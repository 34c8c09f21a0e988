"""Attention of token networks over clips of many videos: what the cells look at, and whether it moves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from analysis.inputs.backbone.twins import untrained_twin
from analysis.inputs.sessions import Progress, Session
from analysis.inputs.video.clips import Clip, ClipTruth, read_clip, to_batch
from analysis.measures.attention import attention_rows, attention_spread, received_attention, time_reach
from analysis.measures.common.agreement import map_correlation, motion_energy
from analysis.measures.common.rings import ring_auroc
from analysis.measures.localization import baseline_maps, chance_levels, localization_scores
from analysis.studies.common.collecting import Collector, Measured
from analysis.studies.common.display import display_clip, shown_film
from analysis.studies.common.study import Study
from fima.errors import InputError
from fima.models.attention import Cell, attention_between_slices, attention_layers, attention_rollout
from fima.models.attention_cells import attention_between_cells

__all__ = ["attention_of_clip", "run"]

_MOST_CELLS = 4096  # of a clip: its matrix takes 67 MB

_WITH_TRUTH = ("energy", "auroc", "ring_auroc")
_PLAIN = {"center_": "center", "difference_": "motion"}
_REFERENCES = ("twin_", *_PLAIN)


def run(session: Session, progress: Progress | None = None) -> Study:
    """Attention that cells receive in one block, head by head, against motion, masks and an untrained twin.

    Scores, per video: ``motion_energy_correlation`` of the mean over heads (chance: the motion of other videos),
    ``time_reach`` and ``spread`` (`analysis.measures.attention`), and where masks are known ``energy``, ``auroc`` and
    ``ring_auroc``; the same of the untrained twin (``twin_``), and of maps without a network (``center_``,
    ``difference_``).

    Args:
        session: Backbone and videos; ``settings.layer`` chooses the block, ``settings.cell`` the cell whose attention
            is shown (by default the one of most motion).
        progress: Called after each video.

    Returns:
        The study; ``arrays["example_heads"]`` is ``(K, heads, T', H', W')`` in shares of an even spread, and
        ``arrays["example_rows"]``, of clips of at most 4,096 cells, what each place looks at: ``(K, 1 + T', P, P)``
        (`analysis.measures.attention.attention_rows`).

    Raises:
        InputError: If the backbone has no attention over its cells.
    """
    if not attention_layers(session.loaded.backbone):
        raise InputError(
            f"attention: {session.loaded.arch} has no attention over its cells that can be read; it is for token "
            "networks, such as VideoMAE, V-JEPA and TimeSformer, or --arch videomae-tiny"
        )
    reader = _Reader(session, untrained_twin(session))
    collector = Collector(session, example=reader.example, against=_agreement, truth=session.has_truth)
    collector.run(reader.measure, progress)
    references = frozenset(f"{kind}{name}" for kind in _REFERENCES for name in (*_WITH_TRUTH, *_OF_WEIGHTS))
    source = {"masks": session.settings.masks or ("drawn" if session.has_truth else None), "normalize": "even share"}
    return collector.study("attention", source=source, references=references)


_OF_WEIGHTS = ("motion_energy_correlation", "time_reach", "spread")


@dataclass(frozen=True)
class _Maps:
    """Received attention of a clip, ``(heads, T', H', W')``, its twin's mean and motion energy ``(1, T', H', W')``."""

    heads: Tensor
    twin: Tensor | None
    energy: Tensor

    @property
    def mean(self) -> Tensor:
        return self.heads.mean(dim=0, keepdim=True)


def _agreement(maps: _Maps, other: _Maps) -> dict[str, float]:
    """Correlation of the attention of one clip with the motion of another, or of the same."""
    pairs = {"": maps.mean} | ({} if maps.twin is None else {"twin_": maps.twin})
    return {
        f"{kind}motion_energy_correlation": float(map_correlation(mean, other.energy)) for kind, mean in pairs.items()
    }


@dataclass(frozen=True)
class _Reader:
    """Attention of clips, of a session's backbone and of its twin."""

    session: Session
    twin: Session | None

    def between(self, session: Session, clip: Tensor, cell: Cell | None = None) -> Tensor:
        extractor = session.extractor
        inputs = extractor.prepare(clip.to(extractor.device))
        return attention_between_slices(extractor.backbone, inputs, session.settings.layer, cell=cell).cpu()

    def measure(self, batch: list[Clip]) -> list[Measured]:
        clip = to_batch(batch, self.session.extractor.device)
        between = {"": self.between(self.session, clip)}
        if self.twin is not None:
            between["twin_"] = self.between(self.twin, clip)
        heads = {kind: received_attention(weights) for kind, weights in between.items()}
        energy = motion_energy(clip, size=_grid(heads[""]), boundary=self.session.settings.boundary).cpu()
        weights = {
            f"{kind}{name}": values
            for kind, of in between.items()
            for name, values in (("time_reach", time_reach(of)), ("spread", attention_spread(of)))
        }
        plain = baseline_maps(clip) if any(one.truth is not None for one in batch) else {}
        found = []
        for i, one in enumerate(batch):
            twin = heads["twin_"][i].mean(dim=0, keepdim=True) if "twin_" in heads else None
            maps = _Maps(heads[""][i], twin, energy[i : i + 1])
            scores = _agreement(maps, maps) | {name: float(values[i]) for name, values in weights.items()}
            inside, chance = _located(one.truth, maps, {name: of[i : i + 1].cpu() for name, of in plain.items()})
            found.append(Measured(scores | inside, chance | dict.fromkeys(weights, 1.0), maps))
        return found

    def example(self, clip: Clip, measured: Measured) -> dict[str, Any]:
        session, maps = self.session, measured.kept
        with clip.video.open() as reader:
            frames = read_clip(reader, clip.start, session.spec)
        inputs = frames.movedim(1, 0)[None].float() / 255
        cell = _chosen(session.settings.cell, maps.energy[0])
        shown, _ = display_clip(session, clip)
        nothing = torch.full_like(maps.mean[0], torch.nan)
        return {
            **shown_film(session, clip, shown),
            "heads": maps.heads.numpy(),
            "mean_map": maps.mean[0].numpy(),
            "cell": cell,
            "cell_map": received_attention(self.between(session, inputs, cell)).mean(dim=1)[0].numpy(),
            "rollout_map": (nothing if (flow := self.rollout(inputs)) is None else flow).numpy(),
            "twin_map": (nothing if maps.twin is None else maps.twin[0]).numpy(),
            **({} if (rows := attention_of_clip(session, inputs, maps.energy.numel())) is None else {"rows": rows}),
        }

    def rollout(self, clip: Tensor) -> Tensor | None:
        """Attention through all layers ``(T', H', W')``, mean 1; None where a network's cells merge on the way."""
        extractor = self.session.extractor
        try:
            flow = attention_rollout(extractor.backbone, extractor.prepare(clip.to(extractor.device)))[0].cpu()
        except InputError:
            return None
        return flow / flow.mean()


def attention_of_clip(session: Session, clip: Tensor, cells: int) -> np.ndarray | None:
    """What each place looks at, of a network that has attention over not too many cells.

    Args:
        session: Backbone and, in ``settings.layer``, its block.
        clip: One clip ``(1, 3, T, H, W)`` in [0, 1].
        cells: ``T' · H' · W'`` of its feature map.

    Returns:
        ``(1 + T', P, P)`` float16, see `analysis.measures.attention.attention_rows`; None of other networks.
    """
    extractor = session.extractor
    if cells > _MOST_CELLS or not attention_layers(extractor.backbone):
        return None
    inputs = extractor.prepare(clip.to(extractor.device))
    try:
        between = attention_between_cells(extractor.backbone, inputs, session.settings.layer)
    except InputError:  # the layer is none of those with attention
        return None
    rows: np.ndarray = attention_rows(between)[0].half().cpu().numpy()
    return rows


def _chosen(cell: str | None, energy: Tensor) -> Cell:
    """The cell of the settings; by default the one of most motion."""
    steps, height, width = energy.shape
    if cell is None:
        place = int(energy.argmax())
        return place // (height * width), place // width % height, place % width
    t, y, x = (int(number) for number in cell.split(","))
    if t >= steps or y >= height or x >= width:
        raise InputError(f"cell {cell} is outside the grid {steps} x {height} x {width}")
    return t, y, x


def _grid(heads: Tensor) -> tuple[int, int, int]:
    return heads.shape[2], heads.shape[3], heads.shape[4]


def _stretched(mean: Tensor, size: torch.Size) -> Tensor:
    """A map ``(1, T', H', W')`` at a clip's own frames and size."""
    return F.interpolate(mean[None], size=size, mode="trilinear", align_corners=False)[0]


def _located(
    truth: ClipTruth | None, maps: _Maps, plain: dict[str, Tensor]
) -> tuple[dict[str, float], dict[str, float]]:
    """Scores against the mask and their chance levels; none where it is not known."""
    if truth is None:
        return {}, {}
    mask, known = truth.mask[None], truth.known[None]
    levels = chance_levels(mask, known) | {"ring_auroc": torch.tensor(0.5)}
    if torch.isnan(levels["energy"]).any():
        return {}, {}
    means = {"": maps.mean} | ({} if maps.twin is None else {"twin_": maps.twin})
    located = {kind: plain[name] for kind, name in _PLAIN.items()}
    located |= {kind: _stretched(mean, mask.shape[1:]) for kind, mean in means.items()}
    scores = {
        f"{kind}{name}": float(values[name])
        for kind, one in located.items()
        for values in [localization_scores(one, mask, known) | {"ring_auroc": ring_auroc(one, mask, known)}]
        for name in _WITH_TRUTH
    }
    return scores, {f"{kind}{name}": float(levels[name]) for kind in located for name in _WITH_TRUTH}
