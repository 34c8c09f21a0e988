"""Feature maps on a finer grid than the network's own, by shift and stitch."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch.nn import functional as F

from fima.errors import InputError

__all__ = ["shift_and_stitch"]


def shift_and_stitch(read: Callable[[Tensor], Tensor], inputs: Tensor, factor: int, *, stride: int = 0) -> Tensor:
    """The feature maps of a clip that is shifted by parts of a cell, interlaced to one of ``factor`` times finer cells.

    Exact where the network is shift-equivariant: a convolution without padding gives what it gives at a ``factor``
    times smaller stride. The shifts lie evenly about 0, so that the finer cells lie where the coarse ones do. What
    comes in over the border is the clip reflected.

    Args:
        read: Clip ``(N, 3, T, H, W)`` → feature map ``(N, C, T', H', W')``; called ``factor²`` times.
        inputs: The clip.
        factor: Finer cells per cell, along height and along width.
        stride: Pixels per cell; 0: as the feature map of the clip tells.

    Returns:
        ``(N, C, T', factor · H', factor · W')``.

    Raises:
        InputError: If a cell has no whole number of pixels, or none that the factor divides.

    Source: Sermanet et al., "OverFeat", ICLR 2014, section 3.3; Long et al., "Fully convolutional networks for semantic
    segmentation", CVPR 2015, section 3.2.
    """
    height, width = inputs.shape[-2:]
    stride = stride or _stride(read(inputs[:1]), inputs)
    if stride % factor or stride > min(height, width):
        raise InputError(
            f"--dense {factor}: shifts the clip by parts of a cell, whose {stride} pixels must be a multiple of "
            f"{factor} and at most the clip's {min(height, width)}; try a later --layer"
        )
    step = stride // factor
    before = (stride - step) // 2
    after = stride - step - before
    shifted = F.pad(inputs, (before, after, before, after, 0, 0), mode="reflect")
    stitched = None
    for place in range(factor**2):
        row, column = divmod(place, factor)
        maps = read(shifted[..., step * row :, step * column :][..., :height, :width])
        if stitched is None:
            stitched = maps.new_empty(*maps.shape[:3], factor * maps.shape[3], factor * maps.shape[4])
        stitched[..., row::factor, column::factor] = maps
    assert stitched is not None
    return stitched


def _stride(maps: Tensor, inputs: Tensor) -> int:
    """Pixels per cell of a layer that does not say it."""
    strides = {size / cells for size, cells in zip(inputs.shape[-2:], maps.shape[-2:], strict=True)}
    stride = max(strides)
    if len(strides) > 1 or not stride.is_integer():
        raise InputError(f"--dense: {inputs.shape[-2]} x {inputs.shape[-1]} pixels are no whole cells of this layer")
    return int(stride)
