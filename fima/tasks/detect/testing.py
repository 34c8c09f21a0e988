"""Testing a detector: scores of every person box, AVA's table of detections, frame-mAP."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fima.data.datasets.layouts.ava import AvaDataset, Keyframe
from fima.data.read_ahead import read_ahead
from fima.files.writing import to_plain, whole_file
from fima.presets.detection import DetectionPreset
from fima.tasks.detect.clips import KeyframeClip, ReaderPool, pad_clips
from fima.tasks.detect.detector import Detector
from fima.tasks.detect.frame_map import FrameMap, LabeledBoxes, frame_map, keep_best

__all__ = ["Scored", "measure", "score_keyframes", "write_detections"]

_DIGITS = 6
_CHALLENGE_KEEPS = 50


@dataclass(frozen=True)
class Scored:
    """A keyframe with what a detector says.

    Attributes:
        keyframe: with its person boxes.
        scores: ``(N, K)`` float64 in [0, 1], rounded to six digits, as the table has them.
    """

    keyframe: Keyframe
    scores: NDArray[np.float64]


def score_keyframes(
    detector: Detector,
    keyframes: Sequence[Keyframe],
    readers: ReaderPool,
    preset: DetectionPreset,
    *,
    batch_size: int = 8,
    threads: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[list[Scored], dict[str, str]]:
    """Scores of every box, from whole frames, one view of each clip; no box's depends on another clip.

    Args:
        detector: on its device; in eval mode and without gradient here.
        keyframes: with person boxes.
        readers: to read them from.
        preset: how.
        batch_size: clips of one size in a forward pass.
        threads: that decode.
        progress: called with (keyframes done, keyframes in all).

    Returns:
        What was scored, in order, and of each keyframe that could not be read, "film,second", the reason.
    """
    spec, detector = detector.spec, detector.eval()
    num_frames, stride = preset.num_frames or spec.num_frames, preset.frame_stride or spec.frame_stride
    side = preset.test_side or spec.size

    def read(keyframe: Keyframe) -> KeyframeClip:
        return readers.read(keyframe, num_frames, stride, side)

    scored: list[Scored] = []
    skipped: dict[str, str] = {}
    waiting: list[KeyframeClip] = []
    made = read_ahead(keyframes, read, threads=threads, window=2 * batch_size + threads)
    for done, (keyframe, clip) in enumerate(made, 1):
        if isinstance(clip, str):
            skipped[f"{keyframe.video},{keyframe.second}"] = clip
        else:
            # Padding would change what is seen at the border, so only clips of one size go together.
            if waiting and (waiting[0].frames.shape != clip.frames.shape or len(waiting) == batch_size):
                scored += _score(detector, waiting)
                waiting = []
            waiting.append(clip)
        if progress is not None:
            progress(done, len(keyframes))
    return scored + (_score(detector, waiting) if waiting else []), skipped


def write_detections(path: Path, scored: Iterable[Scored], class_ids: Sequence[int], evaluated: Sequence[int]) -> None:
    """AVA's table ``video,second,x1,y1,x2,y2,action,score`` of the evaluated actions; it appears whole or not at all.

    Args:
        path: the table.
        scored: what a detector says.
        class_ids: which action each column of the scores is.
        evaluated: actions that are written.
    """
    columns = [(place, label) for place, label in enumerate(class_ids) if label in set(evaluated)]
    with whole_file(path) as partial, partial.open("w", encoding="utf-8") as file:
        for one in scored:
            for box, scores in zip(one.keyframe.boxes, one.scores, strict=True):
                corners = ",".join(f"{value:.{_DIGITS}f}" for value in box)
                start = f"{one.keyframe.video},{one.keyframe.second:04d},{corners}"
                file.writelines(f"{start},{label},{scores[place]:.{_DIGITS}f}\n" for place, label in columns)


def measure(data: AvaDataset, scored: Sequence[Scored], skipped: Iterable[str]) -> dict[str, Any]:
    """Frame-mAP and all that it is made of, as plain values; NaN is None.

    ``mAP`` leaves out keyframes that could not be read, and films that are not there or of which nothing could be
    read; ``mAP_counting_unread`` counts what is true there as not found. ``mAP_best_50`` judges the 50 best detections
    of a keyframe alone, as the challenge's script does.

    Args:
        data: what is true.
        scored: what a detector says.
        skipped: keyframes of the test that could not be read, as "film,second".
    """
    numbers: dict[tuple[str, int], int] = {}
    found = _detections(scored, data.class_ids, data.evaluated, numbers)
    truth = _truth(data.truth, numbers)
    read = _truth(_readable(data, scored, set(skipped)), numbers)
    result = frame_map(read, found, data.evaluated)
    plain: dict[str, Any] = to_plain(
        {
            "mAP": result.mean,
            "mAP_counting_unread": frame_map(truth, found, data.evaluated).mean,
            "mAP_best_50": frame_map(read, keep_best(found, _CHALLENGE_KEEPS), data.evaluated).mean,
            "classes_with_truth": sum(count > 0 for count in result.truth.values()),
            "per_class": _per_class(result, data.names),
        }
    )
    return plain


def _score(detector: Detector, clips: Sequence[KeyframeClip]) -> list[Scored]:
    device = next(detector.head.parameters()).device
    with torch.inference_mode():
        logits = detector(pad_clips(clips, device), [clip.boxes.to(device) for clip in clips])
        scores = torch.sigmoid(logits.double()).cpu().numpy().round(_DIGITS)
    ends = np.cumsum([len(clip.boxes) for clip in clips])
    return [Scored(clip.keyframe, own) for clip, own in zip(clips, np.split(scores, ends[:-1]), strict=True)]


def _readable(data: AvaDataset, scored: Sequence[Scored], skipped: set[str]) -> list[Keyframe]:
    seen = {one.keyframe.video for one in scored}
    lost = {name.rpartition(",")[0] for name in skipped} - seen | set(data.missing)
    return [f for f in data.truth if f.video not in lost and f"{f.video},{f.second}" not in skipped]


def _detections(
    scored: Sequence[Scored], class_ids: Sequence[int], evaluated: Sequence[int], numbers: dict[tuple[str, int], int]
) -> LabeledBoxes:
    """Every box once for each evaluated action, in the order of the table."""
    columns = [place for place, label in enumerate(class_ids) if label in set(evaluated)]
    labels = np.array(class_ids)[columns]
    persons = [len(one.scores) for one in scored]
    frames = _numbered((one.keyframe for one in scored), numbers)
    if not scored:
        return _joined([])
    return LabeledBoxes(
        np.repeat(frames, persons).repeat(len(columns)),
        np.concatenate([one.keyframe.boxes for one in scored]).round(_DIGITS).repeat(len(columns), axis=0),
        np.tile(labels, sum(persons)),
        np.concatenate([one.scores for one in scored])[:, columns].ravel(),
    )


def _truth(keyframes: Sequence[Keyframe], numbers: dict[tuple[str, int], int]) -> LabeledBoxes:
    """Every box once for each of its actions."""
    frames = _numbered(keyframes, numbers)
    return _joined(
        [
            (number, box, action, 1.0)
            for number, frame in zip(frames.tolist(), keyframes, strict=True)
            for box, actions in zip(frame.boxes, frame.actions, strict=True)
            for action in actions
        ]
    )


def _numbered(keyframes: Iterable[Keyframe], numbers: dict[tuple[str, int], int]) -> NDArray[np.int64]:
    """Keyframes are numbered as they come, and keep their number from call to call."""
    keys = ((frame.video, frame.second) for frame in keyframes)
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], np.int64)


def _joined(rows: Sequence[tuple[int, NDArray[np.float64], int, float]]) -> LabeledBoxes:
    keyframe, box, label, score = zip(*rows, strict=True) if rows else ((), (), (), ())
    return LabeledBoxes(np.array(keyframe), np.array(box), np.array(label), np.array(score))


def _per_class(result: FrameMap, names: dict[int, str]) -> dict[str, dict[str, Any]]:
    return {
        str(label): {
            "name": names[label],
            "AP": value,
            "truth": result.truth[label],
            "detections": result.detections[label],
        }
        for label, value in result.per_class.items()
    }
