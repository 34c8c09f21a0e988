"""Other videos of a study: of other recordings and classes, whatever the order of the list."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from analysis.inputs.sessions import Session
from analysis.inputs.video.clips import center_crop, place_clips, read_clip
from analysis.inputs.video.truth import drawn_backgrounds
from analysis.inputs.video.videos import VideoSource
from analysis.measures.common.chance import choose_partners
from fima.data.sampling import clip_indices
from fima.errors import InputError

__all__ = ["OtherVideos", "partners_of"]


def partners_of(videos: Sequence[VideoSource], seed: int = 0) -> dict[str, list[VideoSource]]:
    """Of every video the others that it is compared with (`analysis.measures.common.chance.choose_partners`).

    Args:
        videos: All of them; recordings and labels count where they are known of each.
        seed: Of the choice.

    Returns:
        Name of the video → at most three others; none for a single video.
    """
    groups, labels = [video.group for video in videos], [video.label for video in videos]
    places = choose_partners(
        [video.video_id for video in videos],
        groups=None if None in groups else groups,
        labels=None if None in labels else labels,
        seed=seed,
    )
    return {
        video.video_id: [videos[place] for place in own if place >= 0]
        for video, own in zip(videos, places.tolist(), strict=True)
    }


class OtherVideos:
    """What a video is compared with, of the first of its partners that can be read.

    Args:
        session: Its videos, and how clips are cut.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._partners = partners_of(session.videos, session.settings.seed)
        self._place = place_clips(session.spec, session.settings.clips, session.settings.start_seconds)

    def clip(self, video: VideoSource) -> Tensor | None:
        """Its first clip, uint8 ``(T, 3, size, size)``; None where no other video can be read."""
        return self._first(video, self._clip)

    def background(self, video: VideoSource) -> Tensor | None:
        """Its background at rest, uint8 ``(3, size, size)``; None where no other video can be read."""
        return self._first(video, self._still)

    def _first(self, video: VideoSource, read: Callable[[VideoSource], Tensor]) -> Tensor | None:
        for partner in self._partners[video.video_id]:
            try:
                return read(partner)
            except (InputError, OSError):  # a broken one is named where its own clips are read
                continue
        return None

    def _clip(self, video: VideoSource) -> Tensor:
        with video.open() as reader:
            start = self._place(reader.seconds, reader.duration_seconds)[0]
            return read_clip(reader, start, self._session.spec)

    def _still(self, video: VideoSource) -> Tensor:
        """A drawn video's background alone; otherwise the middle frame of its first clip, with what is in it."""
        spec = self._session.spec
        with video.open() as reader:
            start = self._place(reader.seconds, reader.duration_seconds)[0]
            indices = clip_indices(len(reader), start, num_frames=spec.num_frames, frame_stride=spec.frame_stride)
            middle = int(indices[len(indices) // 2])
            frame = center_crop(reader.frames([middle], short_side=spec.size), spec.size)[0]
        one = spec.replace(num_frames=1, frame_stride=1)
        background = drawn_backgrounds(video, int(indices[0]), one) if video.drawn else None
        return torch.as_tensor(frame if background is None else background[0]).contiguous()
