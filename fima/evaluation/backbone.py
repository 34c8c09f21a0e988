"""The backbone that a command's flags name, on its device."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from fima.checkpoints import LoadedBackbone, load_backbone, untrained_backbone
from fima.errors import InputError

__all__ = ["FeatureRequest", "open_backbone"]


@dataclass(frozen=True)
class FeatureRequest:
    """A backbone, and how its features are computed.

    Attributes:
        ckpt: as of `open_backbone`.
        arch: as of `open_backbone`.
        input_spec: as of `open_backbone`.
        trust: as of `open_backbone`.
        device: as of `open_backbone`.
        seed: of random weights.
        layer: whose feature map is averaged over time and space; None: the output.
        batch_size: views in a forward pass.
        threads: that decode.
    """

    ckpt: str
    arch: str | None = None
    input_spec: str | None = None
    trust: bool = False
    device: str = "auto"
    seed: int = 0
    layer: str | None = None
    batch_size: int = 32
    threads: int = 1

    def open(self, input: Mapping[str, Any]) -> tuple[LoadedBackbone, torch.device]:
        """The backbone on its device.

        Args:
            input: words of the input spec that a preset overrides, unless ``input_spec`` is given.

        Raises:
            FileNotFoundError, CheckpointError, InputError: as `open_backbone`.
        """
        loaded, device = open_backbone(
            self.ckpt, arch=self.arch, seed=self.seed, trust=self.trust, input_spec=self.input_spec, device=self.device
        )
        if input and self.input_spec is None:
            loaded = replace(loaded, input=loaded.input.replace(**input))
        return loaded, device


def open_backbone(
    name: str,
    *,
    arch: str | None = None,
    seed: int = 0,
    trust: bool = False,
    input_spec: str | None = None,
    device: str = "auto",
) -> tuple[LoadedBackbone, torch.device]:
    """The backbone that ``--ckpt`` names, on its device.

    Args:
        name: a file, the name of a shipped one, or ``random``: untrained weights.
        arch: as of `fima.checkpoints.load_backbone`; of random weights ``tiny`` by default.
        seed: of random weights.
        trust: as of `fima.checkpoints.load_backbone`.
        input_spec: as of `fima.checkpoints.load_backbone`.
        device: ``auto`` is the first CUDA device, if there is one, else the CPU.

    Raises:
        FileNotFoundError, CheckpointError, InputError: as `fima.checkpoints.load_backbone`.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        place = torch.device(device)
        torch.empty(0, device=place)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise InputError(f"--device {device}: cannot be used here ({str(error).splitlines()[0]})") from None
    if name == "random":
        loaded = untrained_backbone(arch or "tiny", seed=seed, input_spec=input_spec)
    else:
        loaded = load_backbone(name, arch, trust=trust, input_spec=input_spec)
    return replace(loaded, backbone=loaded.backbone.to(place)), place
