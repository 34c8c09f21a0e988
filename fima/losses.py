"""Contrastive losses: the public name of `fima.methods.losses`."""

from fima.methods.losses import (
    Contrast,
    cell_centers,
    contrast,
    contrast_pixels,
    info_nce,
    pixel_contrastive_loss,
    unit,
)

__all__ = ["Contrast", "cell_centers", "contrast", "contrast_pixels", "info_nce", "pixel_contrastive_loss", "unit"]
