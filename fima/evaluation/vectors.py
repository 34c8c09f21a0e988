"""Pooled feature vectors of test clips, video by video, in constant memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fima.checkpoints import LoadedBackbone, load_backbone, untrained_backbone
from fima.data.clip_protocol import INPUTS, ClipProtocol
from fima.data.datasets import VideoRecord
from fima.data.protocol_clips import iterate_test_clips
from fima.errors import InputError
from fima.models.capture import find_tap, read_maps
from fima.models.registry import backbone_info
from fima.transforms.motion import frame_difference
from fima.transforms.normalize import normalize

__all__ = ["VideoVectors", "iterate_vectors", "open_backbone", "show"]


@dataclass(frozen=True)
class VideoVectors:
    """What became of one video.

    Attributes:
        place: in the sequence of videos.
        record: the video.
        vectors: input → ``(K, C)`` float32, one vector per clip, the mean over its crops; empty if it was not read.
        reason: why it could not be read, in one line; None if it was.
    """

    place: int
    record: VideoRecord
    vectors: dict[str, NDArray[np.float32]]
    reason: str | None = None


def open_backbone(
    name: str,
    *,
    arch: str | None = None,
    seed: int = 0,
    trust: bool = False,
    input_spec: str | None = None,
    device: str = "auto",
) -> tuple[LoadedBackbone, torch.device]:
    """The backbone that ``--ckpt`` names, on its device.

    Args:
        name: a file, the name of a shipped one, or ``random``: untrained weights.
        arch: as of `fima.checkpoints.load_backbone`; of random weights ``tiny`` by default.
        seed: of random weights.
        trust: as of `fima.checkpoints.load_backbone`.
        input_spec: as of `fima.checkpoints.load_backbone`.
        device: ``auto`` is the first CUDA device, if there is one, else the CPU.

    Raises:
        FileNotFoundError, CheckpointError, InputError: as `fima.checkpoints.load_backbone`.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        place = torch.device(device)
        torch.empty(0, device=place)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise InputError(f"--device {device}: cannot be used here ({str(error).splitlines()[0]})") from None
    if name == "random":
        loaded = untrained_backbone(arch or "tiny", seed=seed, input_spec=input_spec)
    else:
        loaded = load_backbone(name, arch, trust=trust, input_spec=input_spec)
    return replace(loaded, backbone=loaded.backbone.to(place)), place


def iterate_vectors(
    loaded: LoadedBackbone,
    videos: Sequence[VideoRecord],
    protocol: ClipProtocol,
    *,
    inputs: Sequence[str] = ("rgb",),
    layer: str | None = None,
    batch_size: int = 32,
    device: torch.device | str = "cpu",
    threads: int = 1,
    chunk: int | None = None,
) -> Iterator[VideoVectors]:
    """Vectors of every video, in order; threads decode ahead while the backbone runs.

    Args:
        loaded: the backbone; in eval mode and without gradient here.
        videos: of a data set.
        protocol: which clips and crops.
        inputs: what of a clip the backbone is shown, each for itself: some of `fima.data.clip_protocol.INPUTS`.
        layer: whose feature map is averaged over time and space; None: the backbone's output.
        batch_size: views in a forward pass; one never holds views of two chunks.
        device: of the backbone.
        threads: that decode.
        chunk: videos; what is computed for one does not depend on others outside its chunk. None: all are one.

    Raises:
        InputError: for an unknown input or layer, or if a vector is not finite.
    """
    unknown = next((name for name in inputs if name not in INPUTS), None)
    if unknown is not None:
        raise InputError(f"--inputs must be some of {', '.join(INPUTS)}, got {unknown!r}")
    if batch_size < 1 or threads < 1:
        raise InputError(f"--batch-size and --threads must be at least 1, got {batch_size} and {threads}")
    pool = _Pool(loaded, layer, tuple(inputs), device)
    clips = iterate_test_clips(videos, loaded.input, protocol, threads=threads)
    return _in_batches(pool, clips, len(videos), protocol.crops, batch_size, chunk)


def _in_batches(
    pool: _Pool, read: Iterator[Any], videos: int, crops: int, batch_size: int, chunk: int | None
) -> Iterator[VideoVectors]:
    views: deque[Tensor] = deque()
    pending: deque[tuple[int, VideoRecord, int | str]] = deque()  # with the number of views, or why there are none
    rows = np.empty((len(pool.inputs), 0, 0), np.float32)
    for place, record, clips in read:
        pending.append((place, record, clips if isinstance(clips, str) else len(clips)))
        if not isinstance(clips, str):
            views.append(clips)
        last = place + 1 == videos or (chunk is not None and (place + 1) % chunk == 0)
        while (waiting := sum(map(len, views))) >= batch_size or (last and waiting):
            new = pool(_take(views, min(batch_size, waiting)))
            rows = np.concatenate([rows, new], axis=1) if rows.size else new
        while pending and (isinstance(count := pending[0][2], str) or count <= rows.shape[1]):
            number, one, _ = pending.popleft()
            if isinstance(count, str):
                yield VideoVectors(number, one, {}, count)
            else:
                yield VideoVectors(number, one, _per_clip(rows[:, :count], crops, pool.inputs, one))
                rows = rows[:, count:]


def show(clip: Tensor, what: str) -> Tensor:
    """A clip as one of `fima.data.clip_protocol.INPUTS`: ``(N, 3, T, H, W)`` in [0, 1] → the same."""
    if what == "frozen":
        middle = clip.shape[2] // 2
        return clip[:, :, middle : middle + 1].expand_as(clip)
    return clip if what == "rgb" else frame_difference(clip, "repeat" if clip.shape[2] > 1 else "wrap")


def _per_clip(
    rows: NDArray[np.float32], crops: int, inputs: tuple[str, ...], record: VideoRecord
) -> dict[str, NDArray[np.float32]]:
    clips = rows.reshape(len(inputs), -1, crops, rows.shape[-1]).mean(axis=2)
    if not np.isfinite(clips).all():
        raise InputError(f"{record.path}: its features are not finite; look at the checkpoint with fima info")
    return {name: np.ascontiguousarray(part) for name, part in zip(inputs, clips, strict=True)}


def _take(views: deque[Tensor], count: int) -> list[Tensor]:
    """The first views, taken out of the queue."""
    parts: list[Tensor] = []
    while count:
        head = views.popleft()
        if len(head) > count:
            views.appendleft(head[count:])
            head = head[:count]
        parts.append(head)
        count -= len(head)
    return parts


class _Pool:
    """uint8 views, some tensors ``(n, T, 3, H, W)`` → pooled vectors ``(inputs, N, C)``."""

    def __init__(
        self, loaded: LoadedBackbone, layer: str | None, inputs: tuple[str, ...], device: torch.device | str
    ) -> None:
        self._backbone, self._spec = loaded.backbone.to(device).eval(), loaded.input
        self.inputs, self._device = inputs, device
        self._buffer: Tensor | None = None
        self._tap = find_tap(self._backbone, layer or None, backbone_info(self._backbone, self._spec), arch=loaded.arch)

    def __call__(self, views: Sequence[Tensor]) -> NDArray[np.float32]:
        with torch.inference_mode():
            pooled = [self._features(self._normalized(views, what)).float() for what in self.inputs]
            pooled = [found.mean(dim=(2, 3, 4)) for found in pooled]
            return np.asarray(torch.stack(pooled).cpu().numpy())

    def _normalized(self, views: Sequence[Tensor], what: str) -> Tensor:
        """What the backbone reads. Memory is used again: to get it anew for every batch takes as long as to fill it."""
        plain = what == "rgb" and self._spec.channel_order == "rgb"
        count, (frames, channels, height, width) = sum(map(len, views)), views[0].shape[1:]
        if self._buffer is None or len(self._buffer) < count:
            shape = (count, channels, frames, height, width)
            self._buffer = torch.empty(shape, device=self._device).to(memory_format=torch.channels_last_3d)
        clip = self._buffer[:count]
        # On a processor view by view, which its cache holds; on an accelerator all of a video's at once.
        parts = [view[None] for part in views for view in part] if clip.device.type == "cpu" else views
        mean, std = (
            torch.tensor(values, device=clip.device).view(1, 3, 1, 1, 1) for values in (self._spec.mean, self._spec.std)
        )
        for part, target in zip(parts, torch.split(clip, [len(part) for part in parts]), strict=True):
            target.copy_(part.to(self._device, non_blocking=True).permute(0, 2, 1, 3, 4)).div_(255)
            if plain:
                target.sub_(mean).div_(std)  # `normalize`, in place
        return clip if plain else normalize(show(clip, what), self._spec)

    def _features(self, clip: Tensor) -> Tensor:
        return read_maps(self._backbone, clip, [self._tap])[self._tap.layer]
