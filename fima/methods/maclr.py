"""MaCLR: a visual and a motion pathway that learn from each other; at test time the visual one stands alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from fima.errors import InputError
from fima.methods.base import (
    Method,
    check_settings,
    frozen_copy,
    laid_out,
    make_backbone,
    mean_contrast,
    symmetric_contrast,
)
from fima.methods.losses import Contrast, contrast, unit
from fima.methods.memory import FeatureQueue, shuffle_batch, unshuffle_batch, update_momentum
from fima.models.heads import Projector
from fima.models.registry import backbone_info
from fima.seeding import SampleKeys
from fima.transforms.colors import ColorAugment
from fima.transforms.motion import FLOW_PRESETS, flow_edges, frame_difference, optical_flow
from fima.transforms.normalize import normalize

if TYPE_CHECKING:
    from fima.transforms.views import Views

__all__ = ["MOTION_INPUTS", "MaCLR"]

MOTION_INPUTS = ("flow_edges", "flow", "frame_difference")
"""What the motion pathway can see; the paper chooses the first and compares it with the others."""

_LIGHT = {
    "temporal_kernels": [3, 3, 3, 3],
    "width": 32,
}  # slow_r50 as the motion pathway: the release's table, half width


class MaCLR(Method):
    """Cross-modal momentum contrast between RGB clips and the motion of the same time.

    **Its authors call the training method patent pending**; mind that before you train with it. The release
    (amazon-science/self-supervised-maclr, commit b2fb317) has no pre-training code. Fixed by its configurations: the
    visual pathway and both clips' frames, the temporal kernels of the motion pathway, temperature, momentum, queue,
    projection, the weights of the losses, and both normalizations. Our reconstruction: which three channels flow edges
    have (`fima.transforms.motion.flow_edges`), OpenCV's DIS as the flow, half width for the motion pathway, crops of
    RGB and of motion that are drawn apart, and the order of effects, which is that of FIMA's instance loss.

    Args:
        arch: of the visual pathway: a name for `fima.models.create_backbone`, or a backbone.
        motion_arch: of the motion pathway, likewise.
        motion_input: "flow_edges", "flow" (right, down, length, pixels) or "frame_difference" (in [−1, 1], 0 where
            nothing changes, as in the others; its first frame repeats the second's).
        flow_preset: of OpenCV's DIS, for flow that the views do not bring.
        queue_size: rows of each of the two queues.
        dim: length of the features that are compared.
        hidden: channels inside the projectors.
        momentum: of the key networks, in [0, 1].
        temperature: of every loss.
        cross_weight: of each direction of the visual–motion loss, at least 0; not both this and 0 visual weight.
        visual_weight: of the visual–visual loss, at least 0.
        motion_weight: of the motion–motion loss, at least 0; 0 leaves it out.
        channels_last: memory layout of backbones and clips.
        backbone_settings: keyword arguments for a visual backbone given by name.
        motion_settings: the same for the motion backbone; None: for ``slow_r50`` the light one, else none.

    Attributes:
        encoder_q, encoder_k, projector, projector_k, queue: of the visual pathway.
        motion_encoder_q, motion_encoder_k, motion_projector, motion_projector_k, motion_queue: of the other.
        num_local_clips: 1: the local clip is the whole window, which the motion is taken from.

    Losses, all by InfoNCE of pooled and projected features: ``visual`` (RGB of m against n, both directions);
    ``visual_motion`` (RGB query against the motion key of the same view, negatives from the motion queue);
    ``motion_visual`` (motion query against the RGB key); ``motion`` (motion of m against n); ``total``, their weighted
    sum. A weight of 0 leaves a term out.

    Views: global clips of T frames and one local clip of 2T frames of the same time, with ``flow`` if it was made
    beforehand.

    Raises:
        InputError: for a setting out of its range or an unknown backbone.

    Source: MaCLR, section 3.
    """

    num_local_clips = 1

    def __init__(
        self,
        arch: str | nn.Module = "slow_r50",
        *,
        motion_arch: str | nn.Module = "slow_r50",
        motion_input: str = "flow_edges",
        flow_preset: str = "medium",
        queue_size: int = 65536,
        dim: int = 128,
        hidden: int = 2048,
        momentum: float = 0.999,
        temperature: float = 0.1,
        cross_weight: float = 1.0,
        visual_weight: float = 1.0,
        motion_weight: float = 0.0,
        channels_last: bool = True,
        backbone_settings: dict[str, Any] | None = None,
        motion_settings: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        check_settings(momentum=momentum, temperature=temperature, queue_size=queue_size, dim=dim, hidden=hidden)
        self.weights = {"cross": cross_weight, "visual": visual_weight, "motion": motion_weight}
        _check(self.weights, motion_input, flow_preset)
        self.momentum, self.temperature, self.colors = momentum, temperature, ColorAugment()
        self.motion_input, self.flow_preset = motion_input, flow_preset
        self.memory_format = torch.channels_last_3d if channels_last else torch.contiguous_format
        visual = make_backbone(arch, backbone_settings)
        info = backbone_info(visual)
        self.channels, self.input_spec = info.channels, info.input
        self.encoder_q = laid_out(visual, self.memory_format)
        self.encoder_k = frozen_copy(self.encoder_q)
        self.projector = Projector(self.channels, dim, hidden)
        self.projector_k = frozen_copy(self.projector)
        self.queue = FeatureQueue(dim, queue_size)
        if motion_settings is None and motion_arch == "slow_r50":
            motion_settings = dict(_LIGHT)
        motion = make_backbone(motion_arch, motion_settings)
        self.motion_encoder_q = laid_out(motion, self.memory_format)
        self.motion_encoder_k = frozen_copy(self.motion_encoder_q)
        self.motion_projector = Projector(backbone_info(motion).channels, dim, hidden)
        self.motion_projector_k = frozen_copy(self.motion_projector)
        self.motion_queue = FeatureQueue(dim, queue_size)
        if not self._asks_motion:  # a parameter without gradient would stall distributed training
            self.motion_encoder_q.requires_grad_(False)
            self.motion_projector.requires_grad_(False)
        self.settings = {
            "arch": arch if isinstance(arch, str) else None,
            "motion_arch": motion_arch if isinstance(motion_arch, str) else None,
            "motion_input": motion_input,
            "flow_preset": flow_preset,
            "queue_size": queue_size,
            "dim": dim,
            "hidden": hidden,
            "momentum": momentum,
            "temperature": temperature,
            "cross_weight": cross_weight,
            "visual_weight": visual_weight,
            "motion_weight": motion_weight,
            "channels_last": channels_last,
            "backbone_settings": dict(backbone_settings or {}),
            "motion_settings": dict(motion_settings or {}),
        }

    def losses(self, views: Views, *, augment: bool = True, update: bool = True) -> dict[str, Tensor]:
        """See `Method.losses`: key networks move, keys of both pathways are made, then the losses; queues fill last.

        The visual queue alone takes n's keys between the directions of its own loss, as in FIMA's instance loss; the
        cross terms see both queues as they were before the step.
        """
        self._check_views(views)
        if update:
            self._move_keys()
        rgb = self._rgb(views, augment)
        rgb_keys = self._keys(rgb, self.encoder_k, self.projector_k)
        rgb_queries = _queries(rgb, self.encoder_q, self.projector)
        motion_keys = motion_queries = None
        if self._asks_motion:
            motion = [self.prepare_motion(views, view) for view in range(2)]
            motion_keys = self._keys(motion, self.motion_encoder_k, self.motion_projector_k)
            motion_queries = _queries(motion, self.motion_encoder_q, self.motion_projector)
        self.observed = {"query": rgb_queries.detach(), "key": rgb_keys}
        terms = self._terms(rgb_queries, rgb_keys, motion_queries, motion_keys, update)
        self.accuracies = {name: term.accuracy for name, term in terms.items()}
        losses = {name: term.loss for name, term in terms.items()}
        total = torch.stack([self.weights[_WEIGHT[name]] * loss for name, loss in losses.items()]).sum()
        return losses | {"total": total}

    def prepare_motion(self, views: Views, view: int) -> Tensor:
        """What the motion pathway sees of a view, ``(N, 3, 2T, H, W)``, mean 0 and std 1 (that is, as it is).

        Flow that the views bring is used; else it is computed from the local clip, on the CPU.
        """
        clip = views.local_clips[view, 0]
        if self.motion_input == "frame_difference":
            motion = 2 * frame_difference(clip, "repeat") - 1
        else:
            brought = views.flow
            flow = optical_flow(clip, preset=self.flow_preset) if brought is None else brought[view, 0].to(clip.dtype)
            motion = flow_edges(flow) if self.motion_input == "flow_edges" else _flow_channels(flow)
        return self._laid_out(motion)

    @property
    def _asks_motion(self) -> bool:
        """Whether a loss has motion queries."""
        return self.weights["cross"] > 0 or self.weights["motion"] > 0

    def _move_keys(self) -> None:
        for name in ("encoder", "motion_encoder"):
            update_momentum(getattr(self, f"{name}_q"), getattr(self, f"{name}_k"), self.momentum)
        for name in ("projector", "motion_projector"):
            update_momentum(getattr(self, name), getattr(self, f"{name}_k"), self.momentum)

    def _rgb(self, views: Views, augment: bool) -> list[Tensor]:
        """The global clips of both views, normalized, with colors that each view draws anew."""
        drawn = None
        if augment:
            drawn = views.keys if views.keys is not None else SampleKeys.from_generator(views.global_clips.shape[1])
        clips = zip("mn", views.global_clips, strict=True)
        return [
            self._laid_out(
                normalize(clip, self.input_spec)
                if drawn is None
                else self.colors(clip, drawn, f"rgb {name}", self.input_spec)
            )
            for name, clip in clips
        ]

    def _laid_out(self, clip: Tensor) -> Tensor:
        device = clip.device.type
        # A convolution under autocast would round its input all the same, after carrying it about at twice the size.
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else clip.dtype
        return clip.to(dtype).contiguous(memory_format=self.memory_format)

    @torch.no_grad()
    def _keys(self, clips: list[Tensor], encoder: nn.Module, projector: Projector) -> Tensor:
        """``(2, N, D)`` unit vectors, every pass with its own batch statistics, of samples dealt out anew."""
        keys = []
        for clip in clips:
            shuffled, order = shuffle_batch(clip)
            pooled = _pool(encoder(shuffled.contiguous(memory_format=self.memory_format)))
            keys.append(unit(projector.project(unshuffle_batch(pooled, order))))
        return torch.stack(keys)

    def _terms(
        self, rgb_q: Tensor, rgb_k: Tensor, motion_q: Tensor | None, motion_k: Tensor | None, update: bool
    ) -> dict[str, Contrast]:
        """The losses by name, from ``(2, N, D)`` unit vectors; then the queues take the keys, n's first."""
        temperature, terms = self.temperature, dict[str, Contrast]()
        rgb_before, motion_before = self.queue.snapshot(), self.motion_queue.snapshot()
        if self.weights["visual"] > 0:
            terms["visual"] = symmetric_contrast(rgb_q, rgb_k, self.queue, temperature=temperature, update=update)
        elif update:
            _fill(self.queue, rgb_k)
        if motion_q is None or motion_k is None:
            return terms
        if self.weights["cross"] > 0:
            terms["visual_motion"] = mean_contrast(
                contrast(rgb_q[v], motion_k[v], motion_before, temperature=temperature) for v in range(2)
            )
            terms["motion_visual"] = mean_contrast(
                contrast(motion_q[v], rgb_k[v], rgb_before, temperature=temperature) for v in range(2)
            )
        if self.weights["motion"] > 0:
            terms["motion"] = mean_contrast(
                contrast(motion_q[v], motion_k[1 - v], motion_before, temperature=temperature) for v in range(2)
            )
        if update:
            _fill(self.motion_queue, motion_k)
        return terms

    def _check_views(self, views: Views) -> None:
        shape, local = tuple(views.global_clips.shape), tuple(views.local_clips.shape)
        if len(shape) != 6 or shape[0] != 2 or shape[2] != 3:
            raise InputError(f"global_clips must be (2, N, 3, T, H, W), got {shape}")
        if len(local) != 7 or local[:2] != (2, 1):
            raise InputError(f"local_clips must be (2, 1, N, 3, 2T, H, W), one for the whole window, got {local}")


_WEIGHT = {"visual": "visual", "visual_motion": "cross", "motion_visual": "cross", "motion": "motion"}


def _queries(clips: list[Tensor], encoder: nn.Module, projector: Projector) -> Tensor:
    return torch.stack([unit(projector.project(_pool(encoder(clip)))) for clip in clips])


def _fill(queue: FeatureQueue, keys: Tensor) -> None:
    for view in (1, 0):
        queue.enqueue(keys[view])


def _pool(feature_map: Tensor) -> Tensor:
    """``(N, C, T', H', W')`` → ``(N, C)``."""
    return feature_map.mean(dim=(-3, -2, -1))


def _flow_channels(flow: Tensor) -> Tensor:
    """``(N, 2, T, H, W)`` → three channels, as a backbone takes them: right, down, and the length of both."""
    return torch.cat([flow, torch.hypot(flow[:, :1], flow[:, 1:])], dim=1)


def _check(weights: dict[str, float], motion_input: str, flow_preset: str) -> None:
    for name, value in weights.items():
        if not value >= 0:
            raise InputError(f"{name}_weight must be at least 0, got {value}")
    if not (weights["visual"] or weights["cross"]):
        raise InputError("visual_weight and cross_weight are both 0: nothing would train the visual pathway")
    if motion_input not in MOTION_INPUTS:
        raise InputError(f"motion_input must be one of {', '.join(MOTION_INPUTS)}, got {motion_input!r}")
    if flow_preset not in FLOW_PRESETS:
        raise InputError(f"flow_preset must be one of {', '.join(FLOW_PRESETS)}, got {flow_preset!r}")
