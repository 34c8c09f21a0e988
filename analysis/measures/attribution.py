"""Attribution: which pixels of which frames move a backbone's pooled feature towards a target (captum's methods).

spec analysis.md: "attribution"; scores and baselines are ours. Clips are ``(N, 3, T, H, W)`` in [0, 1]; gradients go
through the normalization. Clips are attributed one by one, so that neither a batch nor its size changes a map.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from captum.attr import GradientShap, IntegratedGradients, LayerGradCam, Occlusion
from torch import Tensor, nn
from torch.nn import functional as F

from analysis.measures.common.agreement import map_correlation
from analysis.measures.entries.attribution import BASELINES, METHODS
from analysis.measures.sensitivity import frozen
from analysis.measures.temporal import pool_features
from fima.errors import InputError

__all__ = [
    "BASELINES",
    "METHODS",
    "Attribution",
    "FeatureMap",
    "Target",
    "attribute",
    "baseline_clip",
    "cosine_target",
    "frame_share",
    "logit_target",
    "motion_scores",
]

FeatureMap = Callable[[Tensor], Tensor]
"""Clip ``(N, 3, T, H, W)`` in [0, 1] → feature map ``(N, C, T', H', W')``, as ``FeatureExtractor.feature_map``."""
Target = Callable[[Tensor], Tensor]
"""Pooled features ``(K, C)`` → what is explained, ``(K,)``."""

NOISE = 0.05
"""Standard deviation of gradient SHAP's noise, of values in [0, 1]."""


@dataclass(frozen=True)
class Attribution:
    """Attribution maps of clips.

    Attributes:
        map: ``(N, T, H, W)`` float32 on the CPU, summed over colors; above 0 where the pixel raises the target.
        convergence_delta: ``(N,)`` float64: captum's delta (sum of the map less the difference of the target between
            clip and baseline), absolute, as a share of that difference; 0 is exact. NaN without one (Grad-CAM,
            occlusion) or where clip and baseline give the same target.
    """

    map: Tensor
    convergence_delta: Tensor


def cosine_target(reference: Tensor) -> Target:
    """Cosine with a reference feature ``(C,)``, which is held fixed; 0 where either has length 0."""
    fixed = _unit(reference.detach()[None])
    return lambda pooled: (_unit(pooled) * fixed.to(pooled)).sum(dim=1)


def logit_target(head: Callable[[Tensor], Tensor], index: int) -> Target:
    """Logit of class ``index`` by a head ``(K, C) → (K, classes)``."""
    return lambda pooled: head(pooled)[:, index]


def baseline_clip(name: str, clip: Tensor) -> Tensor:
    """The clip that attribution starts from: what counts as "nothing there".

    - ``mean`` (default): the clip's mean color at every place and time. What equals its baseline gets no attribution
      whatever the network does; that is least likely for a mixture of all colors. (Not the mean of the backbone's
      normalization: that is an input of 0, where untrained networks have no feature and a cosine jumps.)
    - ``black``: blind to what is dark.
    - ``blurred``: Gaussian in space, σ a tenth of the short side: blind to coarse layout.
    - ``frozen``: the middle frame all the time, so that only what motion adds is explained. Pixels that rest get
      exactly 0: that such a map follows the motion is then no finding.

    Args:
        name: One of ``BASELINES``.
        clip: ``(N, 3, T, H, W)`` in [0, 1].

    Returns:
        ``(N, 3, T, H, W)``.

    Raises:
        InputError: For another name, or what is no clip.
    """
    if name not in BASELINES:
        raise InputError(f"baseline must be one of {', '.join(BASELINES)}, got {name!r}")
    _check_clip(clip)
    if name == "frozen":
        return frozen(clip)
    if name == "black":
        return torch.zeros_like(clip)
    if name == "blurred":
        return _blurred(clip)
    return clip.mean(dim=(2, 3, 4), keepdim=True).expand_as(clip).contiguous()


def attribute(
    features: FeatureMap,
    clip: Tensor,
    targets: Sequence[Target],
    baseline: Tensor,
    *,
    method: str = "integrated_gradients",
    steps: int = 32,
    internal_batch_size: int = 8,
    window: tuple[int, int] | None = None,
    seed: int = 0,
    prepare: Callable[[Tensor], Tensor] | None = None,
) -> Attribution:
    """Attribution of targets to the pixels of clips.

    Args:
        features: Gives the feature map of a backbone in eval mode.
        clip: ``(N, 3, T, H, W)`` in [0, 1], floating point.
        targets: One for each clip.
        baseline: ``(N, 3, T, H, W)``; Grad-CAM does not look at it.
        method: ``integrated_gradients`` (Sundararajan et al., ICML 2017), Gauss–Legendre with ``steps`` points;
            ``gradient_shap`` (Lundberg and Lee, NeurIPS 2017), ``steps`` random points on the way, with noise of
            ``NOISE``; ``grad_cam`` (Selvaraju et al., ICCV 2017) of the feature map, signed, interpolated;
            ``occlusion`` (Zeiler and Fergus, ECCV 2014), the baseline shown through a moving window.
        steps: Gradients per clip of the first two.
        internal_batch_size: Clips in one pass at most: what bounds the memory.
        window: Frames and pixels of the occluded box, moved by half of itself; a quarter of the clip by default.
        seed: Seed of gradient SHAP, alike for all clips.
        prepare: What ``features`` want done to a clip first; each color scaled and shifted, as a normalization does.
            Integrated gradients are the same in either space, so they take it once instead of at every step.

    Raises:
        InputError: If a shape, the method or a number cannot be used.
    """
    _check_clip(clip)
    if baseline.shape != clip.shape or len(targets) != len(clip):
        raise InputError(
            f"baseline must be {tuple(clip.shape)} with {len(clip)} targets, got {tuple(baseline.shape)} and "
            f"{len(targets)} targets"
        )
    if method not in METHODS:
        raise InputError(f"method must be one of {', '.join(METHODS)}, got {method!r}")
    for name, value in {"steps": steps, "internal_batch_size": internal_batch_size}.items():
        if value < 1:
            raise InputError(f"{name} must be at least 1, got {value}")
    maps, deltas = [], []
    for i, target in enumerate(targets):
        scored, one, start = _Scored(features, target, prepare), clip[i : i + 1].detach(), baseline[i : i + 1].detach()
        delta = torch.nan
        if method == "integrated_gradients":
            if prepare is not None:
                scored, one, start = _Scored(features, target), prepare(one), prepare(start)
            values, delta = _integrated_gradients(scored, one, start, steps, internal_batch_size)
        elif method == "gradient_shap":
            values, delta = _gradient_shap(scored, one, start, steps, internal_batch_size, seed)
        elif method == "grad_cam":
            values = _grad_cam(scored, one)
        else:
            values = _occlusion(scored, one, start, internal_batch_size, window)
        maps.append(values.detach().sum(dim=1).float().cpu())
        deltas.append(delta)
    return Attribution(torch.cat(maps), torch.tensor(deltas, dtype=torch.float64))


class _Scored(nn.Module):
    """Clip → target; ``self.tapped`` is a layer to captum, whatever shape the backbone's own layers have."""

    def __init__(self, features: FeatureMap, target: Target, prepare: Callable[[Tensor], Tensor] | None = None) -> None:
        super().__init__()
        self._features, self._target, self._prepare = features, target, prepare
        self.tapped = nn.Identity()

    def forward(self, clip: Tensor) -> Tensor:
        inputs = clip if self._prepare is None else self._prepare(clip)
        return self._target(pool_features(self.tapped(self._features(inputs))))


def _integrated_gradients(
    scored: _Scored, clip: Tensor, baseline: Tensor, steps: int, at_once: int
) -> tuple[Tensor, float]:
    # Laid out as the backbone's convolutions want it, here once instead of at every step.
    clip, baseline = (x.contiguous(memory_format=torch.channels_last_3d) for x in (clip, baseline))
    values = IntegratedGradients(scored).attribute(clip, baseline, n_steps=steps, internal_batch_size=at_once)
    with torch.no_grad():  # captum's delta, but clip and baseline in one pass where they fit
        reached, begun = torch.cat([scored(part) for part in torch.split(torch.cat((clip, baseline)), at_once)])
    return values, _relative(values.sum(), values.sum() - (reached - begun))


def _gradient_shap(
    scored: _Scored, clip: Tensor, baseline: Tensor, samples: int, at_once: int, seed: int
) -> tuple[Tensor, float]:
    """Captum draws the points from numpy's global generator; the noise is drawn here, sample by sample."""
    noise = torch.Generator().manual_seed(seed)
    before = np.random.get_state()  # noqa: NPY002
    total, attributed, deltas = torch.zeros_like(clip), clip.new_zeros(()), clip.new_zeros(())
    with torch.random.fork_rng(devices=[clip.device] if clip.is_cuda else []):  # captum draws noise of 0 as well
        try:
            np.random.seed(seed)  # noqa: NPY002
            for first in range(0, samples, at_once):
                count = min(at_once, samples - first)
                drawn = torch.cat([torch.randn(clip.shape, generator=noise) for _ in range(count)]).to(clip)
                values, delta = GradientShap(scored).attribute(
                    clip + NOISE * drawn, baseline, n_samples=1, stdevs=0.0, return_convergence_delta=True
                )
                total += values.detach().sum(dim=0)
                attributed += values.detach().sum()
                deltas += delta.sum()
        finally:
            np.random.set_state(before)  # noqa: NPY002
    return total / samples, _relative(attributed, deltas)


def _grad_cam(scored: _Scored, clip: Tensor) -> Tensor:
    values = LayerGradCam(scored, scored.tapped).attribute(clip.requires_grad_())
    return F.interpolate(values.detach(), size=clip.shape[2:], mode="trilinear", align_corners=False)


def _occlusion(scored: _Scored, clip: Tensor, baseline: Tensor, at_once: int, window: tuple[int, int] | None) -> Tensor:
    """Change of the target under every window, averaged over the windows that cover a pixel; alike for its colors."""
    length, height, width = clip.shape[2:]
    frames, pixels = window or (max(1, length // 4), max(1, min(height, width) // 4))
    if not (1 <= frames <= length and 1 <= pixels <= min(height, width)):
        raise InputError(f"window must fit into {length} frames of {height} x {width}, got {(frames, pixels)}")
    move_time, move_space = max(1, frames // 2), max(1, pixels // 2)
    values = Occlusion(scored).attribute(
        clip, (3, frames, pixels, pixels), (3, move_time, move_space, move_space), baseline,
        perturbations_per_eval=at_once,
    )  # fmt: skip
    changes: Tensor = values / 3  # every color of the window has its whole change: their sum is to be that change
    return changes


def frame_share(attribution_map: Tensor) -> Tensor:
    """Share of the absolute attribution that each frame has: ``(N, T, H, W)`` → ``(N, T)``, NaN for a map of zeros."""
    per_frame = attribution_map.double().abs().sum(dim=(2, 3))
    return per_frame / per_frame.sum(dim=1, keepdim=True)  # 0 / 0 = NaN


def motion_scores(attribution_map: Tensor, energy: Tensor, grid: tuple[int, int, int]) -> dict[str, Tensor]:
    """Whether attribution lies where and when things move.

    Args:
        attribution_map: ``(N, T, H, W)``, signed.
        energy: Motion energy of the same shape (``analysis.measures.common.agreement.motion_energy``).
        grid: ``(T', H', W')``: single pixels are too noisy to compare.

    Returns:
        Each ``(N,)`` in [-1, 1], Pearson; NaN where one side is flat: ``time_correlation`` of the absolute attribution
        per frame with the mean energy per frame, and ``motion_correlation`` of both averaged to the grid.
    """
    strength = attribution_map.double().abs()
    over_time = (x.double().mean(dim=(2, 3), keepdim=True) for x in (strength, energy))
    on_grid = (F.adaptive_avg_pool3d(x.double(), grid) for x in (strength, energy))
    return {"time_correlation": map_correlation(*over_time), "motion_correlation": map_correlation(*on_grid)}


def _relative(total: Tensor, delta: Tensor) -> float:
    """Captum's delta as a share of the target's difference, which is the sum of the map less that delta."""
    difference = float(total) - float(delta)
    return abs(float(delta)) / abs(difference) if difference else float("nan")


def _unit(features: Tensor) -> Tensor:
    """Of length 1; scaled by the maximum first, so that squares neither overflow nor vanish."""
    largest = features.detach().abs().amax(dim=1, keepdim=True)
    scaled = features / torch.where(largest > 0, largest, torch.ones_like(largest))
    return F.normalize(scaled, dim=1)


def _blurred(clip: Tensor) -> Tensor:
    n, channels, length, height, width = clip.shape
    sigma = min(height, width) / 10
    radius = min(round(3 * sigma), min(height, width) - 1)
    at = torch.arange(-radius, radius + 1, dtype=clip.dtype, device=clip.device)
    kernel = torch.exp(-((at / sigma) ** 2) / 2)
    kernel /= kernel.sum()
    frames = clip.movedim(1, 2).reshape(-1, 1, height, width)
    frames = F.conv2d(F.pad(frames, (0, 0, radius, radius), mode="replicate"), kernel.view(1, 1, -1, 1))
    frames = F.conv2d(F.pad(frames, (radius, radius, 0, 0), mode="replicate"), kernel.view(1, 1, 1, -1))
    return frames.view(n, length, channels, height, width).movedim(1, 2).contiguous()


def _check_clip(clip: Tensor) -> None:
    if clip.ndim != 5 or clip.shape[1] != 3 or not clip.is_floating_point():
        raise InputError(f"clip must be (N, 3, T, H, W) floating point, got {tuple(clip.shape)} {clip.dtype}")
