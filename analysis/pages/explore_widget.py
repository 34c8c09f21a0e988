"""Look around in JupyterLab: choose a video, a moment, a layer and a patch, and see its affinity to the motion."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import ipywidgets
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from analysis.inputs.video.clips import ClipStream, place_clips, to_batch
from analysis.inputs.video.videos import VideoSource
from analysis.measures.affinity import spatial_affinity
from analysis.plotting.affinity import draw_matrix, draw_row
from analysis.plotting.common.frames import mark_cell, overlay_map, show_frame
from analysis.plotting.style import COLORS, colorbar, new_figure, printed
from analysis.settings import Settings
from analysis.studies import Session, open_session
from analysis.studies.common.display import display_clip
from fima.data.sampling import clip_span
from fima.methods.activation import class_agnostic_activation_map

__all__ = ["Explorer", "View", "explore"]

_SIDE = "16rem"
_MOST_CELLS = 256
_EDGE = "1px solid rgba(255, 255, 255, 0.25)"


@dataclass(frozen=True)
class View:
    """What is looked at, computed once per video, start and layer.

    Attributes:
        frame: uint8 ``(S, S, 3)``, the middle frame of the clip.
        motion_frame: uint8 ``(S, S)``, the size of its frame difference.
        affinity: ``(P, P)``; row = RGB position, column = motion position.
        activation: ``(H', W')`` in [0, 1], the mean RGB activation map.
    """

    frame: np.ndarray
    motion_frame: np.ndarray
    affinity: np.ndarray
    activation: np.ndarray


class Explorer:
    """The numbers and the picture behind the widgets; usable without them.

    Args:
        settings: Backbone, videos and clip shape.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._sessions: dict[str | None, Session] = {settings.layer: open_session(settings)}
        self._views: dict[tuple[str, float, str | None], View] = {}

    @property
    def videos(self) -> list[VideoSource]:
        """The videos to choose from."""
        return self._sessions[self.settings.layer].videos

    @property
    def layers(self) -> list[str]:
        """The layers to choose from, output last."""
        return [tap.layer for tap in self._sessions[self.settings.layer].extractor.info.taps]

    def latest_start(self, video: VideoSource) -> float:
        """Last moment, in seconds, at which a whole clip starts."""
        spec = self._sessions[self.settings.layer].spec
        with video.open() as reader:
            return float(reader.seconds[max(0, len(reader) - clip_span(spec.num_frames, spec.frame_stride))])

    def view(self, video: VideoSource, start_seconds: float, layer: str | None = None) -> View:
        """Frames, affinity and activation of one clip.

        Args:
            video: One of ``videos``.
            start_seconds: From 0 to ``latest_start``.
            layer: One of ``layers``; None is the output.
        """
        key = (video.video_id, start_seconds, layer)
        if key not in self._views:
            self._views = {key: self._compute(video, start_seconds, layer)}  # only the latest is kept
        return self._views[key]

    def picture(self, view: View, patch: int) -> Figure:
        """Four panels: RGB frame with the patch, activation, the patch's affinity on the motion frame, the matrix.

        Args:
            view: What to draw.
            patch: RGB position, row-major.
        """
        grid = (view.activation.shape[0], view.activation.shape[1])
        limits = (float(view.affinity.min()), float(view.affinity.max()))
        with printed():
            figure = new_figure(2.3, 8.6)
            axes = figure.subplots(1, 4)
            show_frame(view.frame, ax=axes[0]).set_title("RGB, patch outlined")
            mark_cell(patch, grid, view.frame.shape[:2], ax=axes[0])
            show_frame(view.frame, ax=axes[1]).set_title("activation")
            colorbar(figure, overlay_map(view.activation, view.frame.shape[:2], ax=axes[1]), axes[1], "activation")
            axes[2].set_title("affinity to the motion")
            image = draw_row(view.affinity, patch, view.motion_frame, grid, ax=axes[2], limits=limits)
            draw_matrix(view.affinity, grid, ax=axes[3], limits=limits)
            axes[3].axhline(patch, color="white", linewidth=0.8)
            axes[3].set_title("matrix, line: the patch")
            colorbar(figure, image, axes[3], "cosine similarity")
        return figure

    def _compute(self, video: VideoSource, start_seconds: float, layer: str | None) -> View:
        if layer not in self._sessions:
            self._sessions[layer] = open_session(replace(self.settings, layer=layer))
        session = self._sessions[layer]
        (clip,) = ClipStream([video], session.spec, place_clips(session.spec, start_seconds=start_seconds))
        features = session.extractor(to_batch([clip], session.extractor.device))
        compared = session.compared(features)
        shown, motion = display_clip(session, clip)
        return View(
            frame=shown[len(shown) // 2],
            motion_frame=motion[len(motion) // 2],
            affinity=spatial_affinity(compared.rgb, compared.motion)[0].float().cpu().numpy(),
            activation=class_agnostic_activation_map(features.rgb, normalize="clip")[0].mean(dim=0).cpu().numpy(),
        )


def explore(settings: Settings | None = None) -> Any:
    """Widgets around an ``Explorer``; the last line of a notebook cell.

    Args:
        settings: Backbone, videos and clip shape; by default the built-in ones.
    """
    explorer = Explorer(settings or Settings())
    videos = {video.video_id: video for video in explorer.videos}
    wide = ipywidgets.Layout(width="32em")
    style = {"description_width": "6em"}
    video = ipywidgets.Dropdown(options=list(videos), description="video", layout=wide, style=style)
    start = ipywidgets.FloatSlider(min=0, step=0.1, description="start (s)", layout=wide, style=style)
    named = [(name or "output", name) for name in explorer.layers]
    layer = ipywidgets.Dropdown(options=named, value=named[-1][1], description="layer", layout=wide, style=style)
    row = ipywidgets.IntSlider(min=0, max=0, description="patch row", layout=wide, style=style)
    column = ipywidgets.IntSlider(min=0, max=0, description="column", layout=wide, style=style)
    picture = ipywidgets.Image(format="png", layout=ipywidgets.Layout(max_width="100%"))

    def choose(at_row: int, at_column: int) -> None:
        row.value, column.value = at_row, at_column

    cells = _Cells(choose)

    def on_video(_change: Any = None) -> None:
        start.max = explorer.latest_start(videos[video.value])

    def on_patch(_change: Any = None) -> None:
        view = explorer.view(videos[video.value], start.value, layer.value)
        rows, columns = view.activation.shape
        row.max, column.max = rows - 1, columns - 1
        cells.show(view, row.value, column.value)
        buffer = io.BytesIO()
        explorer.picture(view, row.value * columns + column.value).savefig(buffer, format="png", dpi=130)
        picture.value = buffer.getvalue()

    on_video()
    on_patch()
    row.value, column.value = row.max // 2, column.max // 2
    on_patch()
    video.observe(on_video, "value")
    for control in (video, start, layer, row, column):
        control.observe(on_patch, "value")
    return ipywidgets.VBox([video, start, layer, row, column, cells.box, picture])


class _Cells:
    """The RGB frame under a grid of buttons, one for each patch: a click chooses it, and so do Tab and the space bar.

    Args:
        choose: Called with row and column.
    """

    def __init__(self, choose: Callable[[int, int], None]) -> None:
        self._choose = choose
        self._frame = ipywidgets.Image(format="png", layout=_layer(width="100%", height="100%"))
        self._grid = ipywidgets.GridBox([], layout=_layer(grid_gap="0", width="100%", height="100%"))
        self.box = ipywidgets.GridBox(
            [self._frame, self._grid], layout=ipywidgets.Layout(width=_SIDE, height=_SIDE, grid_template_columns="100%")
        )

    def show(self, view: View, row: int, column: int) -> None:
        """The frame of a view with a button on each patch, the chosen one outlined; sliders alone if there are many."""
        rows, columns = view.activation.shape
        self.box.layout.display = "none" if rows * columns > _MOST_CELLS else None
        if rows * columns > _MOST_CELLS:
            return
        buffer = io.BytesIO()
        Image.fromarray(view.frame).save(buffer, "PNG")
        self._frame.value = buffer.getvalue()
        if len(self._grid.children) != rows * columns:
            self._grid.layout.grid_template_columns = f"repeat({columns}, 1fr)"
            self._grid.layout.grid_template_rows = f"repeat({rows}, 1fr)"
            self._grid.children = [self._button(*divmod(at, columns)) for at in range(rows * columns)]
        for at, button in enumerate(self._grid.children):
            button.layout.border = f"2px solid {COLORS['mark']}" if at == row * columns + column else _EDGE

    def _button(self, row: int, column: int) -> Any:
        button = ipywidgets.Button(
            tooltip=f"row {row}, column {column}", style={"button_color": "transparent"},
            layout=ipywidgets.Layout(width="auto", height="auto", margin="0", padding="0", border=_EDGE),
        )  # fmt: skip
        button.on_click(lambda _: self._choose(row, column))
        return button


def _layer(**layout: Any) -> Any:
    """Layout of one of several things that lie on each other."""
    return ipywidgets.Layout(grid_area="1 / 1", margin="0", **layout)
