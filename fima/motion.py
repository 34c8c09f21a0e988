"""Motion inputs made from a clip alone: the frame difference."""

from __future__ import annotations

from torch import Tensor

from fima.errors import InputError

__all__ = ["BOUNDARIES", "frame_difference"]

BOUNDARIES = ("wrap", "repeat")
"""What the first frame, which has none before it, is compared with."""


def frame_difference(clip: Tensor, boundary: str = "wrap") -> Tensor:
    """Difference of every frame to the one before it, moved to [0, 1]: ``(clip[t] - clip[t-1] + 1) / 2``.

    No motion gives exactly 0.5.

    Args:
        clip: ``(N, C, T, H, W)`` in [0, 1], floating point; not modified, gradients flow to it.
        boundary: Frame 0. ``wrap``: against the last frame, as FIMA was trained. ``repeat``: takes the difference of
            frame 1, so that the jump from the last frame to the first does not look like motion; needs T ≥ 2.

    Returns:
        ``(N, C, T, H, W)`` in [0, 1], of the clip's dtype and device.

    Raises:
        InputError: If the clip is not such a tensor, the boundary is unknown, or ``repeat`` meets a single frame.

    Source: FIMA, section 3.2, and its reference code, ZMHH-H/FIMA ``moco/loader_utils.py`` (``gen_diff_clip``),
    commit fd63cbd, which always wraps.
    """
    if clip.ndim != 5:
        hint = "; add a batch axis with clip[None]" if clip.ndim == 4 else ""
        raise InputError(f"clip must be (N, C, T, H, W), got {tuple(clip.shape)}{hint}")
    if not clip.is_floating_point():
        raise InputError(f"clip must be floating point in [0, 1], got {clip.dtype}; divide 8-bit frames by 255")
    if boundary not in BOUNDARIES:
        raise InputError(f"boundary must be one of {', '.join(BOUNDARIES)}, got {boundary!r}")
    if boundary == "repeat" and clip.shape[2] < 2:
        raise InputError(f"boundary 'repeat' needs a clip of at least 2 frames, got {clip.shape[2]}")
    # In place on the rolled copy: one allocation, and halving commutes with rounding, so the result is exact.
    difference = clip.roll(1, dims=2).sub_(clip).mul_(-0.5).add_(0.5)
    if boundary == "repeat":
        difference[:, :, 0] = difference[:, :, 1]
    return difference
