"""Where features are compared: as the backbone gives them, or after the projectors that a method trained them with.

Only the second needs a whole method, so nothing of training is imported for the first.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from analysis.inputs.backbone.features import Features, MotionPathway
from fima.errors import CheckpointError, InputError

if TYPE_CHECKING:
    from fima.methods import MaCLR, Method

__all__ = ["ProjectedSpace", "load_projected_space", "project_map", "projected_space"]


@dataclass(frozen=True)
class ProjectedSpace:
    """The features that a method's losses compare, at every position.

    Attributes:
        rgb: Projector of RGB features.
        motion: Projector of motion features; FIMA and MoCo have one for both.
        pathway: What makes the motion features; None: the RGB backbone, fed with the frame difference.
    """

    rgb: nn.Module
    motion: nn.Module
    pathway: MotionPathway | None = None

    def to(self, device: torch.device) -> ProjectedSpace:
        """With its projectors on a device, in eval mode."""
        return replace(self, rgb=self.rgb.to(device).eval(), motion=self.motion.to(device).eval())

    @torch.no_grad()
    def project(self, features: Features) -> Features:
        """Feature maps ``(N, C, T', H', W')`` of the backbone → ``(N, D, T', H', W')``, not normalized."""
        return Features(project_map(self.rgb, features.rgb), project_map(self.motion, features.motion))


def project_map(projector: nn.Module, feature_map: Tensor) -> Tensor:
    """A `fima.models.heads.Projector` at every position: ``(N, C, T', H', W')`` → ``(N, D, T', H', W')``."""
    rows: Tensor = projector.project(feature_map.movedim(1, -1))  # type: ignore[operator]  # a method, not a module
    return rows.movedim(-1, 1)


def load_projected_space(ckpt: str | None, *, arch: str | None = None, trust: bool = False) -> ProjectedSpace:
    """The projected space of a checkpoint.

    Args:
        ckpt: A file of ``fima pretrain``, `fima.methods.save_method`, or FIMA's reference code.
        arch: As of ``--arch``.
        trust: Also read files that run code when they are read.

    Raises:
        InputError: If there is no file, or no projector in it.
    """
    from fima.methods import load_method

    if ckpt is None:
        raise InputError("--space projected needs --ckpt with a whole method; the built-in backbone has no projector")
    try:
        method = load_method(ckpt, trust=trust, **({} if arch is None else {"arch": arch}))
    except CheckpointError as error:
        raise InputError(f"--space projected needs the projector of a whole method; {error}") from None
    return projected_space(method)


def projected_space(method: Method) -> ProjectedSpace:
    """The projected space of a method, with the networks that are trained, not their key networks.

    FIMA and MoCo: RGB and motion go through one backbone and one projector. MaCLR: motion goes through a pathway of its
    own, which sees twice the frames of the RGB clip in the same time, and its own projector.

    Raises:
        InputError: For a method without such a space; names it.
    """
    from fima.methods import MaCLR, MoCo

    if isinstance(method, MoCo):
        return ProjectedSpace(method.projector_dense, method.projector_dense)
    if isinstance(method, MaCLR):
        pathway = MotionPathway(method.motion_encoder_q, lambda clip: _motion_input(method, clip), method.motion_input)
        return ProjectedSpace(method.projector, method.motion_projector, pathway)
    raise InputError(
        f"--space projected: {type(method).__name__} has no projected feature maps; MoCo, FIMA, MaCLR have"
    )


def _motion_input(method: MaCLR, clip: Tensor) -> Tensor:
    """What the motion pathway sees of a clip ``(N, 3, 2T, H, W)`` in [0, 1]."""
    from fima.transforms.views import Views

    both = clip.expand(2, *clip.shape)  # a method takes two views; here both are the clip, and one is looked at
    views = Views(both[:, :, :, ::2], both[:, None], clip.new_zeros(2, len(clip), 4))
    return method.prepare_motion(views, 0)
