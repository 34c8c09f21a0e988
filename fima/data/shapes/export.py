"""A world written to disk: ordinary video files and lists, and the truth beside them."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fima.data.shapes.dataset import SPLITS, ShapesRecord, open_shapes
from fima.data.shapes.motions import MOTIONS
from fima.data.shapes.pool import pool_digest
from fima.data.shapes.render import ShapesVideo
from fima.data.shapes.textures import PATTERNS
from fima.data.transcode.encode import write_video
from fima.errors import InputError
from fima.files.claims import claim_output, is_left_over
from fima.files.reading import read_json
from fima.files.writing import whole_file, write_json, write_text

__all__ = ["TRUTHS", "write_shapes"]

TRUTHS = ("masks", "flow", "backgrounds", "copies")
"""What can be written beside the videos."""

_SETTINGS = "shapes.json"


def write_shapes(
    folder: str | Path,
    text: str,
    videos: Mapping[str, int],
    *,
    truth: Sequence[str] = ("masks",),
    crf: int = 12,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Writes splits of a world; begun again in the same folder, it goes on with what is not there yet.

    - ``videos/SPLIT-00000.mp4``; ``SPLIT.csv``: rows ``path,label`` that `fima.data.datasets.open_dataset` reads.
    - ``masks/SPLIT-00000.npz``: ``shape``, (T, H, W), and ``masks_packed``, its bits packed along the last axis.
    - ``flow/videos/SPLIT-00000/flow.npy``: ``(T, 2, H, W)`` float16, for `fima.data.flow.FlowFolder`.
    - ``copies/SPLIT-00000.npz``: as masks, of the object's copy at rest.
    - ``backgrounds/SPLIT-00000.mp4``: the same frames without anything that moves by itself.
    - ``truth.csv``: of every video its label and class, the motions in their order, the frames they begin at, and the
      background's pattern. ``shapes.json``: the settings.

    Args:
        folder: to write into; made if missing.
        text: the world, as `fima.data.shapes.open_shapes` takes it.
        videos: split → how many.
        truth: of `TRUTHS`.
        crf: quality of the videos, 0 to 51, lower is better.
        progress: called with (videos done, videos in all).

    Returns:
        The folder.

    Raises:
        InputError: if a name is not understood, or the folder holds something else.
    """
    target = Path(folder)
    _check(truth, videos)
    records = {
        split: open_shapes(f"{text},videos={count}", split=split).records for split, count in videos.items() if count
    }
    settings = {"world": text, "truth": sorted(truth), "crf": crf} | _looks(records)
    begun = _check_folder(target, settings)
    lists = [f"{split}.csv" for split in records] + ["truth.csv", _SETTINGS]
    with claim_output(target, "shapes", {}, names=lists, known=lists if begun else (), flag="DIR") as claim:
        claim.expect(*lists)
        if not begun:
            write_json(target / _SETTINGS, settings)
        _write(target, records, truth, crf, progress)
    return target


def _write(
    target: Path,
    records: Mapping[str, Sequence[Any]],
    truth: Sequence[str],
    crf: int,
    progress: Callable[[int, int], None] | None,
) -> None:
    total, done = sum(map(len, records.values())), 0
    for split, chosen in records.items():
        for record in chosen:
            _write_video(target, _stem(record), record, truth, crf)
            done += 1
            if progress is not None:
                progress(done, total)
        rows = [(f"videos/{_stem(record)}.mp4", record.label) for record in chosen]
        write_text(target / f"{split}.csv", _csv(("path", "label"), rows))
    write_text(target / "truth.csv", _csv(_COLUMNS, _truth_rows(records)))


def _looks(records: Mapping[str, Sequence[Any]]) -> dict[str, str]:
    """What tells whether natural looks are still the same; nothing of drawn ones."""
    world = next(iter(records.values()))[0].world
    return {"pool": pool_digest(world.textures, world.objects)} if world.look == "natural" else {}


_COLUMNS = ("video", "split", "label", "class", "motions", "begins", "pattern", "background")


def _truth_rows(records: Mapping[str, Sequence[Any]]) -> Iterator[tuple[Any, ...]]:
    for split, chosen in records.items():
        for record in chosen:
            drawn = record.draw()
            begins = [0, *(np.flatnonzero(np.diff(drawn.motions)) + 1).tolist()]
            motions = "; ".join(MOTIONS[motion] for motion in drawn.sequence)
            pattern = PATTERNS[record.pattern]
            starts = "; ".join(map(str, begins))
            yield _stem(record), split, record.label, record.class_name, motions, starts, record.pattern, pattern


def _write_video(target: Path, stem: str, record: Any, truth: Sequence[str], crf: int) -> None:
    """The truth first and the video last, so that a video that is there is complete."""
    path = target / "videos" / f"{stem}.mp4"
    if path.exists():
        return
    drawn: ShapesVideo = record.draw()
    every = np.arange(len(drawn))
    if "masks" in truth:
        _write_masks(target / "masks" / f"{stem}.npz", drawn.masks(every))
    if "copies" in truth:
        _write_masks(target / "copies" / f"{stem}.npz", drawn.copy_masks(every))
    if "flow" in truth:
        flow: NDArray[np.float16] = drawn.flow(every).astype(np.float16)
        _write_bytes(target / "flow" / "videos" / stem / "flow.npy", lambda file: np.save(file, flow))
    if "backgrounds" in truth:
        _folder(target / "backgrounds")
        write_video(target / "backgrounds" / f"{stem}.mp4", drawn.background(every), fps=record.world.fps, crf=crf)
    _folder(path.parent)
    write_video(path, drawn.frames(every), fps=record.world.fps, crf=crf)


def _write_masks(path: Path, masks: NDArray[np.bool_]) -> None:
    packed, shape = np.packbits(masks, axis=-1), np.array(masks.shape)
    _write_bytes(path, lambda file: np.savez_compressed(file, masks_packed=packed, shape=shape))


def _stem(record: ShapesRecord | Any) -> str:
    return str(record.video_id).replace("/", "-")


def _check(truth: Sequence[str], videos: Mapping[str, int]) -> None:
    if unknown := [name for name in truth if name not in TRUTHS]:
        raise InputError(f"--truth must be of {', '.join(TRUTHS)}, got {', '.join(unknown)}")
    if unknown := [name for name in videos if name not in SPLITS]:
        raise InputError(f"splits must be of {', '.join(SPLITS)}, got {', '.join(unknown)}")
    if not sum(videos.values()) > 0 or min(videos.values()) < 0:
        raise InputError(f"the numbers of videos must be at least 0 and not all 0, got {dict(videos)}")


def _check_folder(target: Path, settings: dict[str, Any]) -> bool:
    """The folder is new, or holds a part of the same, which is what is returned."""
    path = target / _SETTINGS
    if path.exists():
        try:
            found = read_json(path)
        except InputError:
            found = None
        if found != settings:
            raise InputError(f"{target}: holds another world's videos ({path.name} differs); choose another folder")
        return True
    if target.exists() and (not target.is_dir() or not all(is_left_over(child.name) for child in target.iterdir())):
        raise InputError(f"{target}: is there and not empty, and holds no {_SETTINGS}; choose another folder")
    return False


def _csv(columns: Sequence[str], rows: Any) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue()


def _write_bytes(path: Path, write: Callable[[Any], Any]) -> None:
    with whole_file(path) as partial, partial.open("wb") as file:
        write(file)


def _folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{path}: cannot be made ({error.strerror})") from None
