"""MoCo for clips, and MoCo + L_VD: the baselines that FIMA is built on and compared with."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn

from fima.errors import InputError
from fima.methods.base import Method, check_settings, frozen_copy, laid_out, make_backbone, symmetric_contrast
from fima.methods.losses import Contrast, unit
from fima.methods.memory import FeatureQueue, shuffle_batch, unshuffle_batch, update_momentum
from fima.methods.moving import MovingHead
from fima.models.heads import Projector
from fima.models.registry import backbone_info
from fima.seeding import SampleKeys
from fima.transforms.colors import ColorAugment
from fima.transforms.motion import frame_difference
from fima.transforms.normalize import normalize

if TYPE_CHECKING:
    from fima.transforms.views import Views

__all__ = ["Keys", "MoCo"]


class Keys(NamedTuple):
    """What the key backbone sees, for the views m and n, without gradient.

    Attributes:
        rgb: feature maps ``(2, N, C, T', H', W')`` of the global clips.
        motion: the same of their motion; None where no loss needs it.
        local: ``(2, T', N, C)``, pooled features of the motion of the local clips; None likewise.
    """

    rgb: Tensor
    motion: Tensor | None
    local: Tensor | None


class MoCo(Method):
    """Momentum contrast between two windows of a video.

    Args:
        arch: a name for `fima.models.create_backbone`, or a backbone.
        queue_size: rows of each queue of pooled keys.
        dim: length of the features that are compared.
        hidden: channels inside the projector.
        momentum: of the key networks, in [0, 1].
        temperature: of every loss of pooled features.
        instance_motion: adds L_VD, RGB against motion, with a queue of its own.
        moving_weight: adds so much of L_move (`fima.methods.moving`), for views that know what moves; 0: none.
        moving_energy: of L_move: the weight of the activation's share on the object.
        channels_last: memory layout of backbones and clips, several times quicker on processors.
        backbone_settings: keyword arguments for a backbone given by name.

    Attributes:
        colors: how clips are augmented; any callable like it will do.
        encoder_q, encoder_k, projector_dense, projector_dense_k, queue: under the names of FIMA's checkpoints.
        instance_motion_queue: None without L_VD.
        moving_head: None without L_move.

    Losses: ``instance``: InfoNCE of the pooled RGB query of one view against the pooled RGB key of the other;
    ``instance_motion``: the same against the pooled motion key; ``total``.

    Raises:
        InputError: for a setting out of its range or an unknown backbone.

    Source: MoCo (He et al., CVPR 2020); FIMA, section 3.1 and, for L_VD, the ablations of section 4, which its code
    (ZMHH-H/FIMA ``moco/builder.py``, commit fd63cbd) does not have: its definition is ours, with the order of effects
    of the instance loss.
    """

    def __init__(
        self,
        arch: str | nn.Module = "i3d",
        *,
        queue_size: int = 2240,
        dim: int = 128,
        hidden: int = 1024,
        momentum: float = 0.999,
        temperature: float = 0.1,
        instance_motion: bool = False,
        moving_weight: float = 0.0,
        moving_energy: float = 0.0,
        channels_last: bool = True,
        backbone_settings: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        check_settings(momentum=momentum, temperature=temperature, queue_size=queue_size, dim=dim, hidden=hidden)
        self.momentum, self.temperature, self.colors = momentum, temperature, ColorAugment()
        self.memory_format = torch.channels_last_3d if channels_last else torch.contiguous_format
        backbone = make_backbone(arch, backbone_settings)
        info = backbone_info(backbone)
        self.channels, self.input_spec = info.channels, info.input
        self.encoder_q = laid_out(backbone, self.memory_format)
        self.encoder_k = frozen_copy(self.encoder_q)
        self.projector_dense = Projector(self.channels, dim, hidden)
        self.projector_dense_k = frozen_copy(self.projector_dense)
        self.queue = FeatureQueue(dim, queue_size)
        self.instance_motion_queue = FeatureQueue(dim, queue_size) if instance_motion else None
        for name, weight in (("moving_weight", moving_weight), ("moving_energy", moving_energy)):
            if not 0 <= weight < math.inf:
                raise InputError(f"{name} must be at least 0, got {weight}")
        self.moving_weight, self.moving_head = moving_weight, MovingHead(moving_energy) if moving_weight else None
        self.settings = {
            "arch": arch if isinstance(arch, str) else None,
            "queue_size": queue_size,
            "dim": dim,
            "hidden": hidden,
            "momentum": momentum,
            "temperature": temperature,
            "instance_motion": instance_motion,
            "moving_weight": moving_weight,
            "moving_energy": moving_energy,
            "channels_last": channels_last,
            "backbone_settings": dict(backbone_settings or {}),
        }

    def losses(self, views: Views, *, augment: bool = True, update: bool = True) -> dict[str, Tensor]:
        """See `Method.losses`: the key networks move, then keys are made, then each loss, in the reference's order."""
        self._check_views(views)
        if update:
            update_momentum(self.encoder_q, self.encoder_k, self.momentum)
            update_momentum(self.projector_dense, self.projector_dense_k, self.momentum)
        drawn = _color_keys(views) if augment else None
        rgb = [self._prepare(clip, drawn, f"rgb {name}") for name, clip in zip("mn", views.global_clips, strict=True)]
        keys = self._encode_keys(views, rgb, drawn)
        queries = torch.stack([self.encoder_q(clip) for clip in rgb])
        terms = self._terms(views, queries, keys, update)
        self.accuracies = {name: term.accuracy for name, term in terms.items()}
        losses = {name: term.loss for name, term in terms.items()}
        return losses | {"total": torch.stack(list(losses.values())).sum()}

    @property
    def num_local_clips(self) -> int | None:  # type: ignore[override]  # it follows from the losses
        """None if a loss needs the local clips, one for each slice; else 0."""
        return None if self._needs_local else 0

    @property
    def _needs_motion(self) -> bool:
        """Whether a loss needs the motion of the global clips."""
        return self.instance_motion_queue is not None

    @property
    def _needs_local(self) -> bool:
        """Whether a loss needs the local clips."""
        return False

    def _terms(self, views: Views, queries: Tensor, keys: Keys, update: bool) -> dict[str, Contrast]:
        """The losses by name, from the query maps ``(2, N, C, T', H', W')`` and the keys."""
        query, key = unit(self.projector_dense.project(_pool(queries))), self._project_keys(_pool(keys.rgb))
        self.observed = {"query": query.detach(), "key": key}
        temperature = self.temperature
        terms = {"instance": symmetric_contrast(query, key, self.queue, temperature=temperature, update=update)}
        if self.instance_motion_queue is not None and keys.motion is not None:
            motion = self._project_keys(_pool(keys.motion))
            queue = self.instance_motion_queue
            terms["instance_motion"] = symmetric_contrast(query, motion, queue, temperature=temperature, update=update)
        if self.moving_head is not None:
            terms["moving"] = self._moving_term(views, queries)
        return terms

    def _moving_term(self, views: Views, queries: Tensor) -> Contrast:
        if self.moving_head is None or views.masks is None:
            raise InputError("moving_weight: these views do not know what moves (drawn worlds do: --data shapes:…)")
        term: Contrast = self.moving_head(queries.flatten(0, 1), views.masks.flatten(0, 1))
        return Contrast(self.moving_weight * term.loss, term.accuracy)

    @torch.no_grad()
    def _encode_keys(self, views: Views, rgb: list[Tensor], drawn: SampleKeys | None) -> Keys:
        """One pass of the key backbone for each clip, every pass with its own batch statistics."""
        rgb_maps: list[Tensor] = []
        motion_maps: list[Tensor] = []
        local: list[Tensor] = []
        for view, name in enumerate("mn"):
            rgb_maps.append(self._key_map(rgb[view]))
            self._check_slices(views, rgb_maps[0])
            if self._needs_motion:
                motion_maps.append(self._motion_map(views.global_clips[view], drawn, f"motion {name}"))
            if self._needs_local:
                parts = enumerate(views.local_clips[view])
                local.append(
                    torch.stack([_pool(self._motion_map(clip, drawn, f"local {i} {name}")) for i, clip in parts])
                )
        motion = torch.stack(motion_maps) if motion_maps else None
        return Keys(torch.stack(rgb_maps), motion, torch.stack(local) if local else None)

    def _motion_map(self, clip: Tensor, drawn: SampleKeys | None, purpose: str) -> Tensor:
        return self._key_map(self._prepare(frame_difference(clip), drawn, purpose))

    def _key_map(self, clip: Tensor) -> Tensor:
        shuffled, order = shuffle_batch(clip)
        feature_map: Tensor = self.encoder_k(shuffled.contiguous(memory_format=self.memory_format))
        return unshuffle_batch(feature_map, order)

    @torch.no_grad()
    def _project_keys(self, rows: Tensor) -> Tensor:
        """``(…, C)`` → ``(…, dim)`` unit vectors without gradient."""
        return unit(self.projector_dense_k.project(rows))

    def _prepare(self, clip: Tensor, drawn: SampleKeys | None, purpose: str) -> Tensor:
        """A clip or its motion in [0, 1], ready for the backbone; ``drawn`` decides its colors, None leaves them."""
        device = clip.device.type
        # A convolution under autocast would round its input all the same, after carrying it about at twice the size.
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else clip.dtype
        if drawn is None:
            ready = normalize(clip, self.input_spec).to(dtype)
        else:
            ready = self.colors(clip, drawn, purpose, self.input_spec, dtype=dtype)
        return ready.contiguous(memory_format=self.memory_format)

    def _check_views(self, views: Views) -> None:
        shape = tuple(views.global_clips.shape)
        if len(shape) != 6 or shape[0] != 2 or shape[2] != 3:
            raise InputError(f"global_clips must be (2, N, 3, T, H, W), got {shape}")

    def _check_slices(self, views: Views, feature_map: Tensor) -> None:
        """Refuse local clips that are not one for each slice of the feature map."""
        if not self._needs_local:
            return
        shape, slices = tuple(views.local_clips.shape), feature_map.shape[2]
        if len(shape) != 7 or shape[:2] != (2, slices):
            raise InputError(
                f"local_clips must be (2, {slices}, N, 3, frames, H, W), one for each of the {slices} slices that this "
                f"backbone makes of {views.global_clips.shape[3]} frames, got {shape}"
            )


def _color_keys(views: Views) -> SampleKeys:
    return views.keys if views.keys is not None else SampleKeys.from_generator(views.global_clips.shape[1])


def _pool(feature_maps: Tensor) -> Tensor:
    """``(…, C, T', H', W')`` → ``(…, C)``."""
    return feature_maps.mean(dim=(-3, -2, -1))
