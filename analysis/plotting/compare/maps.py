"""Activation maps of several checkpoints side by side, over the same frames of the same clips."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from analysis.plotting.common.frames import show_activation, show_frame
from analysis.plotting.compare.scores import compared_caption, readable
from analysis.plotting.localize import outline_mask
from analysis.plotting.mover import COPY
from analysis.plotting.style import WIDTH, colorbar, new_figure, printed, shortened

if TYPE_CHECKING:
    from analysis.studies.common.study import Study

__all__ = ["CHARACTER", "GAP", "draw_compared_cam", "draw_compared_localize", "draw_compared_mover", "short_titles"]

GAP = 0.15  # between blocks, in widths of a picture
_IMAGES = 8  # in a row
CHARACTER = 0.062  # inches, of the font in use


def draw_compared_cam(studies: Mapping[str, Study]) -> Figure:
    """Rows are clips; the first block of columns shows their frames, the others each checkpoint's map over them."""
    return _draw_compared_maps(
        studies, _draw_maps, "Where the RGB features are strong. Line: half of the maximum of a frame"
    )


def draw_compared_localize(studies: Mapping[str, Study]) -> Figure:
    """The same with the true outline of the object, and each clip's share of activation inside."""
    return _draw_compared_maps(studies, _draw_outlined, "Activation should lie inside the cyan outline of the object")


def draw_compared_mover(studies: Mapping[str, Study]) -> Figure:
    """The last frame shown of each clip, with its copy at rest in the picture and in the world."""
    what = "Which of two alike is more active? Cyan: the mover; orange: its copy, at rest in the picture or the world"
    return _draw_compared_maps(studies, _draw_two_maps, what, _draw_two_frames)


_Draw = Callable[["Study", int, np.ndarray, "list[Axes]"], Any]


def _draw_compared_maps(
    studies: Mapping[str, Study], draw_maps: _Draw, what: str, draw_frames: _Draw | None = None
) -> Figure:
    first = next(iter(studies.values()))
    count, length = first.arrays["example_frames"].shape[:2]
    blocks = 1 + len(studies)
    moments = np.linspace(0, length - 1, max(1, min(3, _IMAGES // blocks, length)) + 2).round().astype(int)[1:-1]
    with printed():
        side = (WIDTH - 1.1) / (blocks * len(moments) + GAP * (blocks - 1))
        figure = new_figure(0.75 + count * (side + 0.17))
        figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0, hspace=0)  # type: ignore[union-attr,call-arg]
        axes = _blocks(figure, count, blocks, len(moments))
        for row in range(count):
            (draw_frames or _draw_frames)(first, row, moments, axes[row][0])
            for study, block in zip(studies.values(), axes[row][1:], strict=True):
                # Clips of other checkpoints may have other frames of the same seconds.
                where = moments if draw_frames else first.arrays["example_seconds"][row, moments]
                image = draw_maps(study, row, where, block)
            name = str(first.arrays["example_video_id"][row])
            axes[row][0][0].set_ylabel(shortened(name, int((side + 0.1) / CHARACTER)))
        wide = int(side * len(moments) / CHARACTER)
        for title, block in zip(["frames", *short_titles(studies, wide)], axes[0], strict=True):
            block[0].set_title(title, loc="left", pad=4)
        label = f"activation, min–max per {first.provenance['normalize']} (no unit)"
        label = label if count * side > 2.2 else label.replace(", ", ",\n").replace(" (", "\n(")
        every = [ax for blocks in axes for block in blocks for ax in block]
        colorbar(figure, image, every, label, shrink=min(1.0, max(0.5, 1.6 / (count * side))), fraction=0.03)
        figure.suptitle(compared_caption(studies, what))
    return figure


def _blocks(figure: Figure, rows: int, blocks: int, columns: int) -> list[list[list[Axes]]]:
    """Axes by row, block and column, with a gap between blocks."""
    widths = ([*[1.0] * columns, GAP] * blocks)[:-1]
    grid = figure.add_gridspec(rows, len(widths), width_ratios=widths)
    return [
        [[figure.add_subplot(grid[row, block * (columns + 1) + c]) for c in range(columns)] for block in range(blocks)]
        for row in range(rows)
    ]


def _draw_frames(study: Study, row: int, moments: np.ndarray, axes: list[Axes]) -> None:
    for ax, t in zip(axes, moments, strict=True):
        show_frame(study.arrays["example_frames"][row, t], ax=ax)
        ax.set_xlabel(f"{study.arrays['example_seconds'][row, t]:.2f} s", labelpad=1)


def _draw_outlined(study: Study, row: int, seconds: np.ndarray, axes: list[Axes]) -> AxesImage:
    arrays = study.arrays
    for ax, t in zip(axes, _nearest(study, row, seconds), strict=True):
        image = show_activation(arrays["example_frames"][row, t], arrays["example_map"][row, t], ax=ax, outline=False)
        outline_mask(arrays["example_mask"][row, t], ax=ax)
    energy, chance = (float(arrays[f"example_{name}"][row]) for name in ("energy", "chance"))
    axes[0].set_xlabel(f"inside {energy:.2f} (chance {chance:.2f})", labelpad=1, loc="left")
    return image


def _draw_maps(study: Study, row: int, seconds: np.ndarray, axes: list[Axes]) -> AxesImage:
    arrays = study.arrays
    for ax, t in zip(axes, _nearest(study, row, seconds), strict=True):
        image = show_activation(arrays["example_frames"][row, t], arrays["example_rgb_map"][row, t], ax=ax)
    return image


def _nearest(study: Study, row: int, seconds: np.ndarray) -> np.ndarray:
    """The frames of a clip that are nearest to some times."""
    own = study.arrays["example_seconds"][row]
    return np.abs(own[None] - seconds[:, None]).argmin(axis=1)  # type: ignore[no-any-return]


def _draw_two_frames(study: Study, row: int, kinds: np.ndarray, axes: list[Axes]) -> None:
    arrays = study.arrays
    for ax, kind in zip(axes, kinds, strict=True):
        show_frame(arrays["example_frames"][row, kind, -1], ax=ax)
        outline_mask(arrays["example_mover"][row, kind, -1], ax=ax)
        outline_mask(arrays["example_copy"][row, kind, -1], ax=ax, color=COPY)
        ax.set_xlabel(("picture", "world")[kind], labelpad=1)


def _draw_two_maps(study: Study, row: int, kinds: np.ndarray, axes: list[Axes]) -> Any:
    arrays = study.arrays
    for ax, kind in zip(axes, kinds, strict=True):
        frame = arrays["example_frames"][row, kind, -1]
        values = np.nan_to_num(arrays["example_map"][row, kind, -1])  # beside a picture that is narrower than others
        image = show_activation(frame, values, ax=ax, outline=False)
        ax.set_xlabel(f"{float(arrays['example_score'][row, kind]):.2f}", labelpad=1)
    return image


def short_titles(studies: Mapping[str, Study], wide: int) -> list[str]:
    """Names of checkpoints, as long as there is room for."""
    return [readable(name, study, max(wide, 8)) for name, study in studies.items()]
