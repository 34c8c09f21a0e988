"""Figure 5b: temporal similarity of RGB to motion, over the offset and as distributions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from analysis.plotting.common.marks import Marks
from analysis.plotting.common.page import LINE, Page, fit, names_of, paper, text_width
from analysis.plotting.common.pairs import (
    KINDS,
    draw_offset_curve,
    draw_shares,
    offset_axis,
    pair_shares,
    similarity_range,
)
from analysis.plotting.paper.caption import checkpoint_names, count_sentence, detail_sentences, named, score_sentence
from analysis.plotting.paper.layouts import PaperFigure, checkpoint_arrays
from analysis.plotting.style import REFERENCE, counted, pair_look
from fima.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from analysis.studies.common.study import Study

__all__ = ["draw_similarities"]

_BINS = 20
_CURVE_LEFT, _SHARE_LEFT, _RIGHT, _FOOT = 0.68, 0.4, 0.16, 0.31  # inches
_BETWEEN = 0.16
_HEAD = 2 * LINE
_TALL, _CURVE_TALL = 1.25, 1.15
_SMALLEST = 0.85
_LETTER = 0.22
_DRAWN = (
    "offset_frames", "offset_seconds", "offset_change", "offset_change_low", "offset_change_high", "offset_videos",
    "offset_unit",
)  # fmt: skip


def draw_similarities(studies: Mapping[str, Study], width: float) -> PaperFigure:
    """Similarity over the offset, all checkpoints in one panel; and a panel of distributions for each.

    Args:
        studies: Name → study of ``temporal``, of the same clips.
        width: Inches; from 5 on, everything stands side by side as far as it fits.

    Raises:
        InputError: If no video has more than one window.

    Source: FIMA, Figure 5(b); the curve over offsets is ours.
    """
    first = next(iter(studies.values()))
    if len(first.arrays["offset_frames"]) < 2:
        raise InputError(f"figure 5b: no video is longer than one window of {int(first.arrays['span'])} frames and a "
                         f"hop of {int(first.arrays['hop'])}; take longer videos, or a smaller --hop")  # fmt: skip
    arrays = _arrays(studies)
    one_row = width >= 5 and _free(width * 0.58, len(studies)) >= _SMALLEST * len(studies)
    with paper():
        figure = _draw(studies, arrays, width, 0.42 * width if one_row else 0.0).figure
    caption, details = _words(studies, arrays)
    return PaperFigure(figure, caption, arrays, details)


def _free(room: float, beside: int) -> float:
    """Inches for panels of shares side by side, without what stands around them."""
    return room - _SHARE_LEFT - _RIGHT - (beside - 1) * _BETWEEN


def _draw(studies: Mapping[str, Study], arrays: dict[str, np.ndarray], width: float, left: float) -> Page:
    """The curves, and the distributions from ``left`` on beside them; below them where that is 0."""
    count, wide, tall = len(studies), left or width, _TALL if left else _CURVE_TALL
    beside = next(n for n in range(count, 0, -1) if n == 1 or _free(width - left, n) >= _SMALLEST * n)
    curves, kinds = _curve_handles(studies), _kinds(arrays)
    below = _HEAD + tall + _FOOT + _legend_rows(curves, wide - 0.3) * LINE
    top = 0.0 if left else below + 0.08
    end = top + -(-count // beside) * (_HEAD + _TALL + _FOOT)
    page = Page(width, max(below, end + _legend_rows(kinds, width - left - 0.3) * LINE))
    _draw_curves(page, studies, arrays, 0.0, wide - _CURVE_LEFT - _RIGHT, tall)
    _legend(page, curves, 0.3, _HEAD + tall + _FOOT, wide - 0.3)
    _draw_shares(page, studies, arrays, left, top, beside)
    _legend(page, kinds, left + 0.3, end, width - left - 0.3)
    return page


def _arrays(studies: Mapping[str, Study]) -> dict[str, np.ndarray]:
    """What is drawn: the curves, and shares (in percent) of every kind in bins that all checkpoints have in common."""
    bins = np.linspace(*similarity_range([study.arrays for study in studies.values()]), _BINS + 1)
    arrays = checkpoint_arrays(studies, _DRAWN) | {"bins": bins}
    for at, study in enumerate(studies.values()):
        shares = pair_shares(study.arrays, bins)
        arrays |= {f"{at}_{kind}_percent": shares.get(kind, np.zeros(_BINS)) for kind in KINDS}
        arrays |= {f"{at}_{kind}_videos": study.arrays[f"density_{kind}_videos"] for kind in KINDS}
    return arrays


def _draw_curves(
    page: Page, studies: Mapping[str, Study], arrays: dict[str, np.ndarray], top: float, width: float, tall: float
) -> None:
    ax = page.axes(_CURVE_LEFT, top + _HEAD, width, tall)
    page.letter(_CURVE_LEFT, top + 0.01, 0)
    behind = counted(int(arrays["0_offset_videos"].max()), "video")
    means = f"mean and 95 % band, {behind}", f"mean, {behind}", behind
    page.head(_CURVE_LEFT + _LETTER, top, width - _LETTER, ("over the offset",), means)
    marks = Marks.of(studies)
    every = [{name: arrays[f"{at}_{name}"] for name in _DRAWN} for at in range(len(studies))]
    offset, unit = offset_axis(every)
    for name, of in zip(studies, every, strict=True):
        line = {"color": marks.color(name), "linestyle": marks.line(name), "linewidth": 1}
        draw_offset_curve(of, of[offset], ax=ax, **line)
    ax.xaxis.set_major_locator(MaxNLocator(5))
    ax.yaxis.set_major_locator(MaxNLocator(4))
    ax.ticklabel_format(axis="y", useOffset=False)
    ax.set_xlabel(fit(width, f"offset Δ of the motion ({unit})", f"offset Δ ({unit})"))
    page.text(0.02, top + _HEAD + tall / 2, "similarity minus\nthat at Δ = 0", rotation=90, va="center",
              multialignment="center", linespacing=1.1)  # fmt: skip


def _draw_shares(
    page: Page, studies: Mapping[str, Study], arrays: dict[str, np.ndarray], left: float, top: float, beside: int
) -> None:
    """A panel for each checkpoint in rows of ``beside``, all with the same limits."""
    side = (_free(page.width - left, beside)) / beside
    marks = Marks.of(studies)
    highest = max(arrays[f"{at}_{kind}_percent"].max() for at in range(len(studies)) for kind in KINDS)
    for at, (name, study) in enumerate(studies.items()):
        x = left + _SHARE_LEFT + at % beside * (side + _BETWEEN)
        y = top + at // beside * (_HEAD + _TALL + _FOOT)
        ax = page.axes(x, y + _HEAD, side, _TALL)
        page.letter(x, y + 0.01, 1 + at)
        page.head(x + _LETTER, y, side - _LETTER, names_of(name, study), named(study, "offset_auroc"))
        shares = {kind: arrays[f"{at}_{kind}_percent"] for kind in _shown(arrays)}
        draw_shares(shares, arrays["bins"], study.arrays, ax=ax, color=marks.color(name))
        ax.set(xlim=(arrays["bins"][0], arrays["bins"][-1]), ylim=(0, highest * 1.05))
        _label_shares(ax, side, first=at % beside == 0)
        if at % beside == 0:
            page.text(left + 0.02, y + _HEAD + _TALL / 2, "a video's pairs (%)", rotation=90, va="center")


def _label_shares(ax: Axes, side: float, *, first: bool) -> None:
    ax.xaxis.set_major_locator(MaxNLocator(max(2, int(side / 0.45))))
    ax.yaxis.set_major_locator(MaxNLocator(4))
    ax.ticklabel_format(axis="x", useOffset=False)
    ax.tick_params(labelleft=first)
    ax.set_xlabel(fit(side, "cosine similarity", "cosine", "cos"))


def _shown(arrays: dict[str, np.ndarray]) -> list[str]:
    """Kinds of pairs that any checkpoint has."""
    return [kind for kind in KINDS if any(arrays[f"{at}_{kind}_videos"] for at in range(len(arrays["names"])))]


def _kinds(arrays: dict[str, np.ndarray]) -> list[Patch]:
    return [Patch(**pair_look(kind, REFERENCE), label=KINDS[kind]) for kind in _shown(arrays)]


def _curve_handles(studies: Mapping[str, Study]) -> list[Line2D]:
    marks = Marks.of(studies)
    return [marks.handle(name, fit(2.4, *names_of(name, study)), linewidth=1) for name, study in studies.items()]


def _legend_rows(handles: Sequence[Any], width: float) -> int:
    return -(-len(handles) // _legend_columns(handles, width))


def _legend_columns(handles: Sequence[Any], width: float) -> int:
    widest = max(text_width(handle.get_label()) for handle in handles) + 0.46
    return max(1, min(len(handles), int(width / widest)))


def _legend(page: Page, handles: Sequence[Any], left: float, top: float, width: float) -> None:
    place = (left / page.width, 1 - top / page.height)
    page.figure.legend(
        handles=handles, loc="upper left", bbox_to_anchor=place, ncols=_legend_columns(handles, width), frameon=False,
        borderaxespad=0, borderpad=0, handlelength=2.6, handletextpad=0.5, columnspacing=1.0, labelspacing=0.35,
    )  # fmt: skip


def _words(studies: Mapping[str, Study], arrays: dict[str, np.ndarray]) -> tuple[str, str]:
    """Caption and details."""
    fewest, most = int(arrays["0_offset_videos"].min()), int(arrays["0_offset_videos"].max())
    behind = f"{fewest} at every offset" if fewest == most else f"{fewest} to {most}, fewer at large offsets"
    apart = "; dashed: misaligned pairs that share no frame" if "disjoint" in _shown(arrays) else ""
    caption = [
        f"Temporal similarity of RGB to motion features of {checkpoint_names(studies)}: (a) over the offset Δ of the "
        f"motion, where a peak at Δ = 0 tells the moment; ({_letters(len(studies))}) of aligned (Δ = 0) and misaligned "
        f"(|Δ| ≥ ½ window) pairs{apart}.",
        score_sentence(studies, "offset_auroc"),
        count_sentence(studies),
    ]
    details = [
        "(a) Cosine of RGB and motion windows minus that at Δ = 0: mean and 95 % band over "
        f"{arrays['0_offset_unit']}s (videos: {behind}). Distributions: pairs of each video, every video weighing "
        "alike, on the same axes.",
        score_sentence(studies, "offset_d_prime"),
        detail_sentences(studies),
    ]
    return " ".join(caption), " ".join(details)


def _letters(count: int) -> str:
    last = chr(ord("a") + count)
    return "b" if count == 1 else f"b–{last}"
