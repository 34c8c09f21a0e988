"""The look of every figure: one width, one font size, colors that survive grayscale and color blindness."""

from __future__ import annotations

import io
import json
import math
import textwrap
import warnings
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path, PurePath
from typing import IO, TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import QuadMesh
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from analysis.measures.common.numbers import capital, twin_interval
from analysis.measures.common.statistics import Summary
from analysis.measures.registry import find_measure, find_score
from analysis.plotting.common.fonts import fallbacks

if TYPE_CHECKING:
    from analysis.studies.common.study import Study

__all__ = [
    "ACTIVATION_CMAP",
    "COLORS",
    "GRAY",
    "MARKERS",
    "PALETTE",
    "PHOTOS",
    "REFERENCE",
    "SIMILARITY_CMAP",
    "WIDTH",
    "caption",
    "clips_of",
    "colorbar",
    "counted",
    "data_name",
    "new_figure",
    "note_lines",
    "pair_look",
    "printed",
    "read_at",
    "save_figure",
    "shortened",
]

WIDTH = 7.2
"""Inches: two columns of a paper."""
ACTIVATION_CMAP = "inferno"
SIMILARITY_CMAP = "viridis"
# Hues are checkpoints, and Okabe and Ito's: told apart with any of the common color-vision deficiencies. Conditions of
# one checkpoint are told by fill, hatch and gray.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#E69F00", "#56B4E9", "#CC79A7", "#000000")
"""Of the checkpoints, in their order."""
MARKERS = "os^DvP*"
"""Of the checkpoints, in the same order."""
REFERENCE = "#8a8f98"
"""The color of untrained weights among trained ones."""
GRAY = "#6b6b6b"
"""The color of untrained twins and of maps that need no backbone, which marks tell apart."""
COLORS = {
    "aligned": PALETTE[0], "misaligned": "#333333", "disjoint": GRAY, "chance": "#4d4d4d", "mark": "#E69F00",
}  # fmt: skip
_NONE = Summary(math.nan, math.nan, math.nan, math.nan, 0)
PHOTOS = "fima-photos"
"""Key of a PNG's text: where its photographs and color maps are."""
_AFTER_HEADER = 33  # bytes: where chunks may follow in a PNG
_COMPRESSION = 4  # of PNG: half the time of the usual 6 for 5 % more bytes
_RC = mpl.rc_params_from_file(str(Path(__file__).with_name("fima.mplstyle")), use_default_template=False)


@contextmanager
def printed() -> Iterator[None]:
    """Fonts and lines for print, inside the block only."""
    with mpl.rc_context({**_RC, "font.sans-serif": [*_RC["font.sans-serif"], *fallbacks()]}):
        yield


def new_figure(height: float, width: float = WIDTH) -> Figure:
    """An empty figure in inches that belongs to nobody: no window, no pyplot state."""
    return Figure(figsize=(width, height), layout=ConstrainedLayoutEngine(h_pad=0.06, w_pad=0.06))


def colorbar(figure: Figure, image: Any, axes: Axes | list[Axes] | None, label: str, **kwargs: Any) -> None:
    """A thin, labeled color bar.

    Args:
        figure: Or a part of one.
        image: What has the colors.
        axes: Beside which it stands; None with ``cax``, the axes of the bar itself.
        label: What they mean.
        **kwargs: Of ``Figure.colorbar``.
    """
    # A bar of its own, so that it shows the colors at full strength where the image is half transparent.
    scale = ScalarMappable(image.norm, image.cmap)
    place = {} if axes is None else {"ax": axes, "fraction": 0.046, "pad": 0.02, "aspect": 25}
    bar = figure.colorbar(scale, **{**place, **kwargs})
    bar.set_label(label)
    bar.ax.ticklabel_format(axis="y", useOffset=False)  # 0.9996, not 4e-4 under a "+1" beside the bar
    bar.outline.set_linewidth(0.4)


def pair_look(kind: str, color: str = PALETTE[0]) -> dict[str, Any]:
    """How the histogram of a kind of pairs is drawn: filled, hatched, dashed, so that no hue is needed.

    Args:
        kind: ``aligned``, ``misaligned`` or ``disjoint``.
        color: Of the checkpoint.
    """
    if kind == "aligned":
        return {"fill": True, "facecolor": (*to_rgb(color), 0.45), "edgecolor": color, "linewidth": 0.8}
    if kind == "misaligned":
        return {"fill": True, "facecolor": "none", "edgecolor": "#333333", "hatch": "//////", "linewidth": 0.8}
    return {"fill": True, "facecolor": "none", "edgecolor": "#333333", "linestyle": (0, (3, 1.5)), "linewidth": 0.9}


def caption(study: Study, what: str, output: str = "its output") -> str:
    """Title of a figure: what to see, from which backbone; untrained weights are named in capitals.

    Args:
        study: What is shown.
        what: Says what to see.
        output: Where a backbone is read by default, in words.
    """
    checkpoint = study.provenance["checkpoint"]
    spec = study.provenance["input"]
    source = checkpoint["path"] or f"seed {study.provenance['seed']}"
    layer = read_at(study, output)
    lines = [
        what,
        f"{checkpoint['arch']} ({shortened(str(source), 48)}), {layer}, "
        f"{spec['num_frames']} frames, stride {spec['frame_stride']}, {spec['size']} px",
    ]
    if (dense := study.provenance.get("dense", {}).get("factor", 1)) > 1:
        lines.append(f"dense maps: each cell of the grid in {dense} × {dense}, by {dense**2} shifts of the clip")
    if data := data_name(study):
        lines.append(f"{data}: {counted(len(study.video_scores['video_id']), 'video')}")
    lines += note_lines(study)
    if study.has_twin:
        lines.append(_beside(study))
    if study.untrained:
        lines.append("UNTRAINED weights: this shows how to read the figure, not a result")
    return "\n".join(lines)


def note_lines(study: Study) -> list[str]:
    """What a reader must know of a study's videos, in lines that a figure's title has room for."""
    return [line for note in study.notes(most=0) for line in textwrap.wrap(capital(note), 90)]


def _beside(study: Study) -> str:
    """The untrained twin's main score in words; where scores are drawn it is a gray diamond beside each."""
    names = [name for name in find_measure(study.measure).main if study.scores.get(name, _NONE).twin_mean is not None]
    told = [f"{find_score(study.measure, name).label} {twin_interval(study.scores[name])}" for name in names[:1]]
    return "Untrained twin, gray diamonds where scores are drawn" + "".join(f": {text}" for text in told)


def read_at(study: Study, output: str) -> str:
    """Where features were read, in words; ``output`` says the backbone's output."""
    if study.provenance["space"] == "projected":
        return "projected features"
    layer = study.provenance["layer"]
    return output if layer == "output" else f"layer {layer}"


def clips_of(studies: Mapping[str, Study]) -> str:
    """What checkpoints were fed and where they were read: ``16 frames, stride 2, 112 / 56 px; backbone output``."""
    specs = [study.provenance["input"] for study in studies.values()]
    clips = " / ".join(dict.fromkeys(f"{spec['num_frames']} frames, stride {spec['frame_stride']}" for spec in specs))
    sizes = " / ".join(dict.fromkeys(f"{spec['size']}" for spec in specs))
    return f"{clips}, {sizes} px; {read_at(next(iter(studies.values())), 'backbone output')}"


def data_name(study: Study) -> str:
    """The data set and its split, such as ``UCF101 (test1)``; empty for single videos."""
    inputs = study.provenance["inputs"]
    if not inputs["data"]:
        return ""
    return shortened(PurePath(inputs["data"]).name, 60) + (f" ({inputs['split']})" if inputs["split"] else "")


def counted(number: int, noun: str) -> str:
    """``1 video``, ``2 videos``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def shortened(text: str, most: int) -> str:
    """Text for a figure: the end of what is too long, and signs that can be drawn for bytes that are no text."""
    drawable = text.encode("utf-8", "replace").decode("utf-8")
    return drawable if len(drawable) <= most else "…" + drawable[1 - most :]


def save_figure(
    figure: Figure, target: Path | IO[bytes], kind: str, *, look: Callable[[], AbstractContextManager[None]] = printed
) -> None:
    """Save a figure without the time of drawing: equal runs give equal files.

    Args:
        figure: What to save.
        target: A path, or an open file.
        kind: ``png``, ``svg`` or ``pdf``.
        look: In which it was drawn; ticks are drawn only now.
    """
    dateless: dict[str, dict[str, Any]] = {
        "png": {"Software": "fima"},
        "svg": {"Date": None},
        "pdf": {"CreationDate": None},
    }
    with look(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # a name in a script that the font lacks
        if kind == "png":
            _save_png(figure, target, dateless[kind])
        else:
            figure.savefig(target, format=kind, metadata=dateless[kind])


def _save_png(figure: Figure, target: Path | IO[bytes], metadata: dict[str, Any]) -> None:
    """A PNG that also says where its photographs and color maps are: a dark page turns all else."""
    buffer = io.BytesIO()
    with _laid_out(figure):
        figure.savefig(buffer, format="png", metadata=metadata, pil_kwargs={"compress_level": _COMPRESSION})
    content, text = buffer.getvalue(), f"{PHOTOS}\0{json.dumps(_photos(figure))}".encode("latin-1")
    chunk = len(text).to_bytes(4, "big") + b"tEXt" + text + zlib.crc32(b"tEXt" + text).to_bytes(4, "big")
    content = content[:_AFTER_HEADER] + chunk + content[_AFTER_HEADER:]
    if isinstance(target, Path):
        target.write_bytes(content)
    else:
        target.write(content)


@contextmanager
def _laid_out(figure: Figure) -> Iterator[None]:
    """The figure with its layout made and no engine, for which savefig would draw all of it once more before."""
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
    figure.set_layout_engine(None)
    try:
        yield
    finally:
        figure.set_layout_engine(engine)


def _photos(figure: Figure) -> list[list[float]]:
    """Left, top, right and bottom of the axes with pictures, as shares of the figure."""
    found = []
    for ax in figure.axes:
        if ax.get_visible() and (ax.images or any(isinstance(one, QuadMesh) for one in ax.collections)):
            (x0, y0), (x1, y1) = figure.transFigure.inverted().transform(ax.get_window_extent().get_points())
            found.append([round(float(x), 4) for x in (x0, 1 - y1, x1, 1 - y0)])
    return found
