"""Attribution over frames and over time, and its sanity check: the figure of ``fima-analyze attribution``."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.ndimage import gaussian_filter

from analysis.measures.common.numbers import capital, minus
from analysis.measures.registry import find_score
from analysis.plotting.common.frames import overlay_map, show_frame
from analysis.plotting.style import (
    ACTIVATION_CMAP,
    COLORS,
    WIDTH,
    caption,
    colorbar,
    new_figure,
    printed,
    shortened,
)

if TYPE_CHECKING:
    from matplotlib.image import AxesImage

    from analysis.studies.common.study import Study

__all__ = ["draw_attribution", "draw_over_time", "draw_sanity", "draw_strips"]

_LEFT, _STRIPS, _SANITY, _CURVE = 0.55, 4.02, 1.5, 0.62  # inches: left margin, and sizes of the parts
_GAP = 0.04
_STAGES = 4  # whose maps are shown
_CMAP = "PuOr_r"  # orange raises, purple lowers; told apart with any of the common color-vision deficiencies
_EXAMPLE = (
    "video_id", "seconds", "frames", "map", "share", "energy", "time_correlation", "convergence_delta",
    "input_correlation", "sanity", "sanity_map",
)  # fmt: skip
_NAMES = {
    "integrated_gradients": "integrated gradients",
    "gradient_shap": "gradient SHAP",
    "grad_cam": "Grad-CAM",
    "occlusion": "occlusion",
}
_BASELINES = {
    "mean": "the clip's mean color",
    "black": "black",
    "blurred": "the blurred clip",
    "frozen": "the frozen clip",
}
_TARGETS = {
    "motion": "likeness to the clip's own motion feature",
    "other": "likeness to the feature of another video",
    "logit": "logit of the class ranked first",
}


def draw_attribution(study: Study) -> Figure:
    """For every clip: frames, attribution over them, its course over time beside the motion's; right, sanity check."""
    arrays = study.arrays
    count, length = arrays["example_frames"].shape[:2]
    columns = min(5 if count <= 2 else 7, length)
    times = np.linspace(0, length - 1, columns).round().astype(int)
    side = min((_STRIPS + _GAP) / columns - _GAP, 1.0)
    block = 2 * side + 1.22
    with printed():
        title = caption(study, _title(study))
        head = 0.25 + 0.145 * len(title.splitlines())
        figure = new_figure(head + count * block)
        figure.set_layout_engine("none")  # placed in inches: frames, curves and sanity check are to be in line
        figure.suptitle(title, y=1 - 0.07 / figure.get_figheight(), va="top")
        for i in range(count):
            example = {name: arrays[f"example_{name}"][i] for name in _EXAMPLE}
            if "example_class" in arrays:
                example["class"] = arrays["example_class"][i]
            _draw_block(example, arrays["sanity_layers"], times, figure, top=head + i * block, side=side)
    return figure


def _draw_block(
    example: dict[str, np.ndarray], layers: np.ndarray, times: np.ndarray, figure: Figure, *, top: float, side: float
) -> None:
    """One clip, ``top`` inches below the figure's top, with frames of ``side`` inches."""
    lefts = [_LEFT + column * (side + _GAP) for column in range(len(times))]
    over = top + side + _GAP
    axes = [[_add_axes(figure, left, at, side, side) for left in lefts] for at in (top, over)]
    image = draw_strips(example, times, np.array(axes, dtype=object))
    end = lefts[-1] + side
    bar = _add_axes(figure, end + 0.07, over, 0.06, side)
    colorbar(figure, image, bar, "attribution", cax=bar, ticks=[-1, 0, 1])
    bar.yaxis.labelpad = -1
    bar.yaxis.label.set_fontsize(6.5)
    curve = over + side + 0.12
    draw_over_time(example, times, ax=_add_axes(figure, _LEFT, curve, end - _LEFT, _CURVE))
    stages = np.unique(np.linspace(0, len(layers) - 1, min(_STAGES, len(layers))).round().astype(int))
    small = (_SANITY + _GAP) / _STAGES - _GAP
    for column, stage in enumerate(stages):
        ax = _add_axes(figure, WIDTH - 0.12 - _SANITY + column * (small + _GAP), top, small, small)
        _draw_stage(example, stage, layers[stage], ax=ax)
    begin = top + small + 0.15
    draw_sanity(
        example, layers, ax=_add_axes(figure, WIDTH - 0.12 - _SANITY, begin, _SANITY, curve + _CURVE - begin - 0.14)
    )


def _add_axes(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Axes at a place in inches from the figure's top left corner."""
    across, down = figure.get_size_inches()
    return figure.add_axes((left / across, 1 - (top + height) / down, width / across, height / down))


def draw_strips(example: dict[str, np.ndarray], times: np.ndarray, axes: np.ndarray) -> AxesImage:
    """Frames, and the signed map over them in gray.

    Args:
        example: ``video_id``, ``seconds`` (T,), ``frames`` (T, H, W, 3), ``map`` (T, h, w); ``class`` where the map is
            of a class.
        times: Which frames to show.
        axes: ``(2, len(times))``.

    Returns:
        An overlay, for the color bar.
    """
    smooth = _smooth(example["map"])
    strength = smooth / (np.quantile(np.abs(smooth), 0.995) or 1.0)
    for column, t in enumerate(times):
        top, bottom = axes[:, column]
        frame = example["frames"][t]
        show_frame(frame, ax=top).set_title(f"{example['seconds'][t]:.2f} s", pad=2)
        show_frame(frame.mean(axis=2).astype(np.uint8), ax=bottom)
        alpha = np.clip(1.5 * np.abs(strength[t]), 0, 0.9)  # the frame shows where there is no attribution
        image = overlay_map(strength[t], frame.shape[:2], ax=bottom, limits=(-1, 1), cmap=_CMAP, alpha=alpha)
    axes[0, 0].set_ylabel(shortened(str(example["video_id"]), 12), fontsize=6.5)
    explained = str(example.get("class", ""))
    axes[1, 0].set_ylabel("attribution" + (f"\n{_begun(explained, 13)}" if explained else ""), fontsize=6.5)
    return image


def draw_over_time(example: dict[str, np.ndarray], times: np.ndarray, *, ax: Axes) -> Axes:
    """Share that each frame has of the absolute attribution, and of the motion energy.

    Args:
        example: ``seconds``, ``share``, ``energy`` (T,) and ``time_correlation``.
        times: The frames shown above, marked on the axis.
        ax: Where to draw.
    """
    # A clip of a short video starts again: frames, not seconds, go on.
    frames = np.arange(len(example["share"]))
    total = example["energy"].sum()
    ax.plot(frames, 100 * example["share"], "o-", color=COLORS["aligned"], markersize=2.5, linewidth=1.2)
    if total > 0:
        energy = 100 * example["energy"] / total
        ax.plot(frames, energy, "s--", color=COLORS["misaligned"], markersize=2.5, linewidth=1.2)
    ax.axhline(100 / len(frames), color=COLORS["chance"], linewidth=0.6, linestyle=":", zorder=0)
    ax.set_xlim(-0.5, len(frames) - 0.5)
    ax.set_ylim(0, 1.35 * ax.get_ylim()[1])
    ax.set_xticks(times, [f"{example['seconds'][t]:.2f} s" for t in times])
    ax.set_ylabel("% per frame")
    correlation = float(example["time_correlation"])
    agreement = minus(f"r = {correlation:.2f}") if np.isfinite(correlation) else "r: one is flat"
    key = (("— attribution", "aligned"), ("- - motion energy", "misaligned"), (f"··· even;  {agreement}", "chance"))
    for at, (text, color) in zip((0.01, 0.3, 0.64), key, strict=True):
        ax.text(at, 0.97, text, transform=ax.transAxes, va="top", fontsize=7, color=COLORS[color])
    return ax


def draw_sanity(example: dict[str, np.ndarray], layers: np.ndarray, *, ax: Axes) -> Axes:
    """Rank correlation with the map of the unchanged backbone, against how many layers are randomized.

    Args:
        example: ``sanity`` (S,) and ``input_correlation``.
        layers: (S,) numbers of randomized layers, from 0 to all.
        ax: Where to draw.
    """
    ax.axhline(0, color=COLORS["chance"], linewidth=0.8, linestyle=(0, (3, 2)), label="chance")
    floor = float(example["input_correlation"])
    if np.isfinite(floor):
        ax.axhline(floor, color=COLORS["mark"], linewidth=1, linestyle=(0, (1, 1)), label="|clip − baseline| alone")
    ax.plot(layers, example["sanity"], "o-", color=COLORS["aligned"], markersize=3.5, linewidth=1.2, clip_on=False)
    ax.set_ylim(min(-0.1, float(np.nanmin([*example["sanity"], floor])) - 0.05), 1.3)  # room for the legend
    ax.set_yticks([0, 0.5, 1])
    ax.set_xlim(0, layers[-1])
    ax.set_xticks(layers)
    ax.set_ylabel("rank correlation")
    ax.set_xlabel(f"layers randomized (of {layers[-1]})")
    ax.legend(loc="upper right", frameon=False, borderaxespad=0, handlelength=1.4)
    return ax


def _draw_stage(example: dict[str, np.ndarray], stage: int, num_layers: int, *, ax: Axes) -> None:
    """Absolute map of one frame at one stage, on one scale for all stages: what has faded looks faded."""
    shape = (example["frames"].shape[1], example["frames"].shape[2])
    show_frame(np.zeros(shape, np.uint8), ax=ax).set_title(str(num_layers), pad=2)
    every = _smooth(np.abs(example["sanity_map"]))
    most = max(np.quantile(every, 0.995, axis=(1, 2))) or 1.0
    overlay_map(every[stage], shape, ax=ax, limits=(0, most), cmap=ACTIVATION_CMAP, alpha=1)
    if stage == 0:
        ax.set_ylabel("|map|")


def _smooth(values: np.ndarray) -> np.ndarray:
    """Maps ``(…, h, w)`` for the eye: what neighboring pixels have in common; scores are of the maps themselves."""
    sigma = values.shape[-1] / 56
    return np.asarray(gaussian_filter(values, (0,) * (values.ndim - 2) + (sigma, sigma)))


def _begun(text: str, most: int) -> str:
    """The beginning of what is too long: names of classes differ there."""
    return text if len(text) <= most else text[: most - 1] + "…"


def _target(given: dict[str, Any]) -> str:
    """What is explained, in words."""
    if "target_class" in given:
        index, name = given["target_class"]["index"], given["target_class"]["name"]
        return f"logit of {name}" if name == f"class {index}" else f"logit of class {index}, {_begun(name, 40)}"
    return _TARGETS.get(given["target"], f"target {given['target']}")


def _title(study: Study) -> str:
    given = study.provenance
    method, baseline = _NAMES[given["method"]], _BASELINES[given["baseline"]]
    against = "" if given["method"] == "grad_cam" else f" against {baseline}"
    target = _target(given)
    delta = float(study.arrays.get("summary_convergence_delta", [np.nan])[0])
    exact = (
        minus(f" ({find_score('attribution', 'convergence_delta').label} {100 * delta:.1f} %)")
        if np.isfinite(delta)
        else ""
    )
    what = (
        f"{method}{against}{exact}: what raises (orange) or lowers (purple) the {target}? "
        "1: 99.5th percentile. Right: map of the strongest frame as weights are randomized from the top; "
        "its rank correlation must fall"
    )
    return textwrap.fill(capital(what), 100)
