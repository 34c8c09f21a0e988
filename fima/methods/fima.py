"""FIMA: motion predicted from RGB, pixel by pixel in space and slice by slice in time, by contrast."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn

from fima.errors import InputError
from fima.methods.activation import foreground_mask
from fima.methods.base import check_settings, mean_contrast
from fima.methods.losses import Contrast, contrast, contrast_pixels, unit
from fima.methods.memory import FeatureQueue
from fima.methods.moco import Keys, MoCo
from fima.models.heads import MotionDecoder

if TYPE_CHECKING:
    from fima.transforms.views import Views

__all__ = ["FIMA"]


_MOST_LAYERS = 1000


class _Predicted(NamedTuple):
    """The motion of each view (the first axis) as RGB predicts it, unit vectors.

    Attributes:
        slices: ``(2, T', N, D)``, of each slice as a whole; None where no loss needs it.
        pixels: ``(2, T', N, P, D)``, of each slice at the positions of the other view; None likewise.
    """

    slices: Tensor | None
    pixels: Tensor | None


class FIMA(MoCo):
    """Fine-grained motion alignment: MoCo's instance loss, a pixel loss and a frame loss; either can be left out.

    Args:
        arch: as `MoCo`.
        pixel: adds L_pix.
        frame: adds L_frame.
        decoder: False compares the projected query features themselves instead of the decoder's predictions.
        foreground: False takes every position for foreground.
        pixel_queue_size: rows of a queue of motion pixels; 0 for none (UCF101).
        motion_queue_size: rows of the queue of local motion keys; None: as ``queue_size``.
        radius: of the pixel loss, in diagonals of a cell.
        pixel_temperature: of the pixel loss.
        dropout, width, heads, feedforward, layers: of the decoder.
        moco: the other arguments of `MoCo`.

    Attributes:
        decoder: None where it is switched off or no loss needs it.
        motion_queue, pixel_queue: None likewise.
        observed: also ``mask``, ``(2, N, H', W')`` bool, the foreground of both views, with the pixel loss.

    Losses: ``instance``, ``pixel``, ``frame`` (those that are switched on) and ``total``. L_pix and L_frame stay the
    same if the views change places; L_inst does not (`fima.methods.base.symmetric_contrast`).

    Raises:
        InputError: for a setting out of its range or an unknown backbone.

    Source: FIMA, sections 3.1–3.4; ZMHH-H/FIMA ``moco/builder.py``, commit fd63cbd. The ablations are the paper's, in
    our definition: the reference code has no switches.
    """

    def __init__(
        self,
        arch: str | nn.Module = "i3d",
        *,
        pixel: bool = True,
        frame: bool = True,
        decoder: bool = True,
        foreground: bool = True,
        pixel_queue_size: int = 0,
        motion_queue_size: int | None = None,
        radius: float = 0.7,
        pixel_temperature: float = 0.1,
        dropout: float = 0.1,
        width: int = 512,
        heads: int = 4,
        feedforward: int = 512,
        layers: int = 2,
        **moco: Any,
    ) -> None:
        super().__init__(arch, **moco)
        motion_queue_size = self.settings["queue_size"] if motion_queue_size is None else motion_queue_size
        shape = {"width": width, "heads": heads, "feedforward": feedforward, "layers": layers}
        check_settings(momentum=self.momentum, radius=radius, pixel_temperature=pixel_temperature, **shape)
        if layers > _MOST_LAYERS or heads > width:
            raise InputError(f"layers must be at most {_MOST_LAYERS} and heads at most width, got {layers} and {heads}")
        if pixel_queue_size < 0:
            raise InputError(f"pixel_queue_size must be at least 0, got {pixel_queue_size}")
        self.pixel, self.frame, self.foreground = pixel, frame, foreground
        self.radius, self.pixel_temperature = radius, pixel_temperature
        dim: int = self.settings["dim"]
        # What no loss reads is not made: a parameter without gradient would stall distributed training.
        self.decoder = None
        if decoder and (pixel or frame):
            self.decoder = MotionDecoder(self.channels, **shape, dropout=dropout, class_token=frame)
        self.motion_queue = FeatureQueue(dim, motion_queue_size) if frame else None
        self.pixel_queue = FeatureQueue(dim, pixel_queue_size) if pixel and pixel_queue_size else None
        self.settings |= {
            "pixel": pixel,
            "frame": frame,
            "decoder": decoder,
            "foreground": foreground,
            "pixel_queue_size": pixel_queue_size,
            "motion_queue_size": motion_queue_size,
            "radius": radius,
            "pixel_temperature": pixel_temperature,
            "dropout": dropout,
            "width": width,
            "heads": heads,
            "feedforward": feedforward,
            "layers": layers,
        }

    @property
    def _needs_motion(self) -> bool:
        return self.pixel or super()._needs_motion

    @property
    def _needs_local(self) -> bool:
        return self.frame

    def _terms(self, views: Views, queries: Tensor, keys: Keys, update: bool) -> dict[str, Contrast]:
        terms = super()._terms(views, queries, keys, update)
        if not (self.pixel or self.frame):
            return terms
        predicted = self._predict(queries)
        if predicted.pixels is not None and keys.motion is not None:
            terms["pixel"] = self._pixel_term(views, predicted.pixels, keys.rgb, keys.motion, update)
        if predicted.slices is not None and keys.local is not None:
            terms["frame"] = self._frame_term(predicted.slices, self._project_keys(keys.local), update)
        return terms

    def _predict(self, queries: Tensor) -> _Predicted:
        """The motion of each view, at the positions of the other, from the query maps of both."""
        rows = _rows(queries)
        if self.decoder is None:
            slices, pixels = rows.mean(dim=3) if self.frame else None, rows.flip(0) if self.pixel else None
        else:
            embedded = self.decoder.embed(rows)
            asked, memory = embedded.flip(0).flatten(0, 2), embedded.flatten(0, 2)
            decoded = self.decoder(asked, memory, positions=self.pixel)
            slices = None if decoded.token is None else decoded.token.unflatten(0, rows.shape[:3])
            pixels = decoded.positions.unflatten(0, rows.shape[:3]) if self.pixel else None
        project = self.projector_dense.project
        return _Predicted(
            None if slices is None else unit(project(slices)), None if pixels is None else unit(project(pixels))
        )

    def _pixel_term(self, views: Views, predicted: Tensor, rgb: Tensor, motion: Tensor, update: bool) -> Contrast:
        """L_pix: predictions ``(2, T', N, P, D)`` against the motion maps; the queue then takes n's keys and m's."""
        grid = motion.shape[-2:]
        keys = self._project_keys(_rows(motion))
        masks = self._masks(rgb, motion)
        self.observed["mask"] = masks
        queue = None if self.pixel_queue is None else self.pixel_queue.snapshot()
        terms = []
        for view, i in _targets(keys):
            asked = 1 - view
            term = contrast_pixels(
                _map(predicted[view, i], grid),
                _map(keys[view, i], grid),
                _others(keys[view], i).permute(1, 3, 0, 2),
                views.boxes[asked],
                views.boxes[view],
                masks[asked],
                masks[view],
                radius=self.radius,
                temperature=self.pixel_temperature,
                queue=queue,
            )
            terms.append(term)
        if update and self.pixel_queue is not None:
            for view, i in _targets(keys):
                self.pixel_queue.enqueue(keys[view, i].flatten(0, 1))
        return mean_contrast(terms)

    def _frame_term(self, predicted: Tensor, keys: Tensor, update: bool) -> Contrast:
        """L_frame: predictions ``(2, T', N, D)`` against local keys of that shape; the queue then takes n's and m's."""
        if self.motion_queue is None:
            raise RuntimeError("the frame loss has no queue")
        # All slices at once: every local key is a negative of a slice but those of its own view and place.
        part = torch.arange(2 * keys.shape[1], device=keys.device).repeat_interleave(keys.shape[2])
        own = part[:, None] == part
        query, key = predicted.flatten(0, 2), keys.flatten(0, 2)
        queue = self.motion_queue.snapshot()
        term = contrast(query, key, key, queue, temperature=self.temperature, excluded=own)
        if update:
            self.motion_queue.enqueue(keys.flip(0).flatten(0, 2))
        return term

    def _masks(self, rgb: Tensor, motion: Tensor) -> Tensor:
        """Foreground of both views, ``(2, N, H', W')``."""
        if not self.foreground:
            return torch.ones_like(rgb[:, :, 0, 0], dtype=torch.bool)
        return torch.stack([foreground_mask(*maps) for maps in zip(rgb, motion, strict=True)])


def _rows(feature_maps: Tensor) -> Tensor:
    """``(2, N, C, T', H', W')`` → ``(2, T', N, P, C)``, each position of a slice a row."""
    return feature_maps.flatten(4).permute(0, 3, 1, 4, 2)


def _map(rows: Tensor, grid: torch.Size) -> Tensor:
    """``(N, P, D)`` → ``(N, D, H', W')``."""
    return rows.transpose(1, 2).reshape(rows.shape[0], rows.shape[2], *grid)


def _others(slices: Tensor, i: int) -> Tensor:
    """``(T', …)`` without slice i."""
    return torch.cat((slices[:i], slices[i + 1 :]))


def _targets(keys: Tensor) -> Iterator[tuple[int, int]]:
    """View and slice that are predicted, in the reference's order: n's slices, then m's."""
    return ((view, i) for view in (1, 0) for i in range(keys.shape[1]))
