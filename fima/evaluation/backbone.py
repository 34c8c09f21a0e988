"""The backbone that a command's flags name, on its device."""

from __future__ import annotations

from dataclasses import replace

import torch

from fima.checkpoints import LoadedBackbone, load_backbone, untrained_backbone
from fima.errors import InputError

__all__ = ["open_backbone"]


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
