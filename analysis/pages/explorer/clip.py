"""What an explorer shows of one clip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from fima.errors import InputError

__all__ = ["ExplorerClip", "check_clips"]

_TOLERANCE = 1e-4  # of a cosine that was computed in single precision


@dataclass(frozen=True)
class ExplorerClip:
    """Frames and affinities of one clip, for several checkpoints.

    ``P = H'·W'`` positions, row by row; ``T'`` time slices of the feature map.

    Attributes:
        name: Shown as text, whatever it holds.
        rgb: uint8 ``(T', S, S, 3)``, one frame per slice.
        motion: uint8 ``(T', S, S)`` or ``(T', S, S, 3)``, the frame difference at the same times.
        affinity: Checkpoint name → ``(T', P, P)`` in [-1, 1]; row = RGB position, column = motion position
            (``analysis.measures.affinity.spatial_affinity_slices``).
        mean: Checkpoint name → ``(P, P)``, of the features averaged over time
            (``analysis.measures.affinity.spatial_affinity``).
        grid: ``(H', W')``.
        frame_seconds: ``(T',)`` times of the frames in their video, if known.
        attention: Name of a checkpoint that has attention → ``(1 + T', P, P)`` in shares of an even spread
            (``analysis.measures.attention.attention_rows``).

    Raises:
        InputError: For a shape, type or value that does not fit; names the clip.
    """

    name: str
    rgb: np.ndarray
    motion: np.ndarray
    affinity: Mapping[str, np.ndarray]
    mean: Mapping[str, np.ndarray]
    grid: tuple[int, int]
    frame_seconds: Sequence[float] | None = None
    attention: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._check_frames()
        if not self.affinity or list(self.affinity) != list(self.mean):
            raise InputError(
                f"{self.name}: affinity and mean must name the same checkpoints, at least one, "
                f"got {list(self.affinity)} and {list(self.mean)}"
            )
        slices, positions = len(self.rgb), self.grid[0] * self.grid[1]
        for checkpoint in self.affinity:
            self._check_matrix(f"affinity of {checkpoint}", self.affinity[checkpoint], (slices, positions, positions))
            self._check_matrix(f"mean of {checkpoint}", self.mean[checkpoint], (positions, positions))
        for checkpoint, rows in self.attention.items():
            if rows.shape != (1 + slices, positions, positions) or not (np.isfinite(rows).all() and rows.min() >= 0):
                wanted = f"({1 + slices}, {positions}, {positions})"
                raise InputError(
                    f"{self.name}: attention of {checkpoint} must be {wanted} and not negative, got {rows.shape}"
                )
        if self.frame_seconds is not None and len(self.frame_seconds) != slices:
            raise InputError(
                f"{self.name}: frame_seconds must be {slices}, one per slice, got {len(self.frame_seconds)}"
            )

    @property
    def checkpoints(self) -> list[str]:
        """Names, in the order of the panels."""
        return list(self.affinity)

    @property
    def limits(self) -> tuple[float, float]:
        """Lowest and highest affinity of all checkpoints, slices and means."""
        drawn = [*self.affinity.values(), *self.mean.values()]
        return min(float(array.min()) for array in drawn), max(float(array.max()) for array in drawn)

    @property
    def most_moving(self) -> int:
        """The position, row-major, where the middle motion frame is brightest."""
        return int(np.argmax(self._moving))

    @property
    def _moving(self) -> np.ndarray:
        """Brightness ``(P,)`` of the middle motion frame at every position."""
        motion = self.motion[len(self.motion) // 2].astype(np.float64)
        motion = motion if motion.ndim == 2 else motion.mean(axis=-1)
        rows, columns = (np.array_split(np.arange(n), cells) for n, cells in zip(motion.shape, self.grid, strict=True))
        return np.array([motion[np.ix_(row, column)].mean() for row in rows for column in columns])

    @property
    def opening(self) -> int:
        """The position to begin with: the most moving one at which the checkpoints disagree, else the most moving."""
        right = np.stack([matrix.diagonal() >= matrix.max(axis=1) for matrix in self.mean.values()])
        apart = right.any(axis=0) & ~right.all(axis=0)
        return int(np.where(apart, self._moving, -1.0).argmax()) if apart.any() else self.most_moving

    def _check_frames(self) -> None:
        rgb, motion = self.rgb, self.motion
        square = rgb.ndim == 4 and rgb.shape[1] == rgb.shape[2] and rgb.shape[3] == 3 and len(rgb) > 0
        if rgb.dtype != np.uint8 or not square:
            raise InputError(f"{self.name}: rgb must be uint8 (T', S, S, 3), got {rgb.dtype} {rgb.shape}")
        if motion.dtype != np.uint8 or motion.shape not in (rgb.shape, rgb.shape[:3]):
            raise InputError(
                f"{self.name}: motion must be uint8 {rgb.shape[:3]} or {rgb.shape} as rgb, "
                f"got {motion.dtype} {motion.shape}"
            )
        if len(self.grid) != 2 or not 1 <= min(self.grid) <= max(self.grid) <= rgb.shape[1]:
            raise InputError(f"{self.name}: grid must be (H', W') within {rgb.shape[1]} pixels, got {tuple(self.grid)}")

    def _check_matrix(self, what: str, matrix: np.ndarray, shape: tuple[int, ...]) -> None:
        if matrix.shape != shape:
            raise InputError(f"{self.name}: {what} must be {shape}, got {matrix.shape}")
        if not np.isfinite(matrix).all() or np.abs(matrix).max() > 1 + _TOLERANCE:
            raise InputError(f"{self.name}: {what} must lie in [-1, 1], got {matrix.min():.3g} to {matrix.max():.3g}")


def check_clips(clips: Sequence[ExplorerClip]) -> None:
    """Refuse what one explorer cannot show together.

    Raises:
        InputError: For no clip, or clips of different checkpoints.
    """
    if not clips:
        raise InputError("an explorer needs at least one clip, got none")
    for clip in clips:
        if clip.checkpoints != clips[0].checkpoints:
            raise InputError(
                f"clips of one explorer must have the same checkpoints in the same order: {clips[0].name} has "
                f"{clips[0].checkpoints}, {clip.name} has {clip.checkpoints}"
            )
