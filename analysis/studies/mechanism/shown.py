"""The pair of views that the mechanism's figure shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from analysis.inputs.video.videos import VideoSource
from analysis.measures.mechanism import Trace, box_overlap, positive_pairs
from analysis.studies.common.display import DISPLAY_SIZE
from analysis.studies.mechanism.drawing import Drawn, Sampling
from fima.transforms.views import Crops, cut

__all__ = ["Shown"]


class Shown:
    """The pair of views that the figure shows.

    Args:
        radius: Radius of the method's pixel loss.
    """

    def __init__(self, radius: float) -> None:
        self._radius = radius
        self._predicted = torch.empty(0, 0)
        self._rank = -1
        self._example: dict[str, Any] = {}
        self._source: tuple[VideoSource, Drawn] | None = None

    def offer(self, video: VideoSource, drawn: Drawn, trace: Trace) -> None:
        """Take it, if it is the first, or the first that has positive pairs."""
        pairs = positive_pairs(trace.boxes, trace.masks, radius=self._radius)[0]
        rank = int(pairs.any())
        if rank <= self._rank:
            return
        self._rank, self._source = rank, (video, drawn)
        shown = trace.keys.shape[1] // 2  # the slice in the middle: the first may hold the difference's wrapped frame
        self._predicted, motion = trace.predicted[0, shown, 0], trace.keys[1, shown, 0]
        self._example = {
            "boxes": trace.boxes[:, 0],
            "overlap": box_overlap(trace.boxes)[0],
            "masks": trace.masks[:, 0],
            "pairs": pairs,
            "slice": torch.tensor([shown, trace.keys.shape[1]]),
            "similarity": self._predicted @ motion.T,
        }
        if trace.attention is not None:
            self._example["attention"] = trace.attention[0, shown, 0]

    def arrays(self, sampling: Sampling, others: Callable[[str], list[Trace]]) -> dict[str, np.ndarray]:
        """What the figure draws, named ``example_*``; the frames are read again, large enough to look at.

        Args:
            sampling: How they were cut.
            others: Name of a video → the traces of those that it is set against; the first is shown.
        """
        assert self._source is not None
        video, drawn = self._source
        shown, slices = self._example["slice"].tolist()
        other = [trace.keys[1, shown, 0].float() for trace in others(video.video_id)[:1]]
        self._example["other_similarity"] = self._predicted @ (other[0] if other else self._predicted[:0]).T
        moments = drawn.frames[:, int((shown + 0.5) * drawn.frames.shape[1] / slices)]
        with video.open() as reader:
            frames = reader.frames(moments.tolist(), short_side=max(DISPLAY_SIZE, sampling.short_side))
        frames = frames.permute(0, 2, 3, 1)
        views = [_cut_out(frame, box) for frame, box in zip(frames, self._example["boxes"], strict=True)]
        arrays = {
            "video_id": np.array(video.video_id),
            "seconds": moments / drawn.fps,
            "source": frames[0].contiguous().numpy(),
            "views": np.stack(views),
            **{name: tensor.numpy() for name, tensor in self._example.items()},
        }
        return {f"example_{name}": array for name, array in arrays.items()}


def _cut_out(frame: Tensor, box: Tensor) -> np.ndarray:
    """The view ``(S, S, 3)`` uint8 that a box ``(4,)`` cuts out of a frame ``(H, W, 3)``."""
    height, width = frame.shape[:2]
    x1, y1, x2, y2 = (box * torch.tensor([width - 1, height - 1] * 2)).round().int().tolist()
    left, right = min(x1, x2), max(x1, x2)
    top, start, rows, columns = (np.array(value) for value in (y1, left, y2 - y1 + 1, right - left + 1))
    out = torch.empty(3, 1, DISPLAY_SIZE, DISPLAY_SIZE)
    cut(frame[None], Crops(top, start, rows, columns, np.array(x1 > x2)), out=out)
    view: np.ndarray = (out[:, 0].permute(1, 2, 0) * 255).round().to(torch.uint8).contiguous().numpy()
    return view
