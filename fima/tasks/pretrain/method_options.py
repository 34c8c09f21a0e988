"""What each method may be given, typed and without torch, so that flags are checked before anything is loaded.

A test keeps names and defaults equal to the classes of `fima.methods`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["METHODS", "FIMAOptions", "MaCLROptions", "MoCoOptions"]


@dataclass
class MoCoOptions:
    """MoCo, and with `instance_motion` MoCo + L_VD.

    Args:
        queue_size: rows of each queue of pooled keys.
        dim: length of the features that are compared.
        hidden: channels inside the projector.
        momentum: of the key networks, in [0, 1].
        temperature: of every loss of pooled features.
        instance_motion: add L_VD, RGB against motion.
        moving_weight: add so much of L_move, activation on what moves by itself; only drawn worlds know it.
        moving_energy: of L_move: the weight of the activation's share on what moves, which lowers a map's floor.
        channels_last: memory layout of backbones and clips, several times quicker on processors.
    """

    queue_size: int = 2240
    dim: int = 128
    hidden: int = 1024
    momentum: float = 0.999
    temperature: float = 0.1
    instance_motion: bool = False
    moving_weight: float = 0.0
    moving_energy: float = 0.0
    channels_last: bool = True


@dataclass
class FIMAOptions(MoCoOptions):
    """FIMA: MoCo's instance loss, a pixel loss and a frame loss.

    Args:
        pixel: add L_pix.
        frame: add L_frame.
        decoder: predict motion with the motion decoder; false: compare the projected query features themselves.
        foreground: contrast foreground positions only; false: all of them.
        pixel_queue_size: rows of a queue of motion pixels; 0: none.
        motion_queue_size: rows of the queue of local motion keys; null: as queue_size.
        radius: of the pixel loss, in diagonals of a cell.
        pixel_temperature: of the pixel loss.
        dropout: of the decoder.
        width: channels of the decoder.
        heads: of the decoder's attention.
        feedforward: channels inside the decoder's layers.
        layers: of the decoder.
    """

    pixel: bool = True
    frame: bool = True
    decoder: bool = True
    foreground: bool = True
    pixel_queue_size: int = 0
    motion_queue_size: int | None = None
    radius: float = 0.7
    pixel_temperature: float = 0.1
    dropout: float = 0.1
    width: int = 512
    heads: int = 4
    feedforward: int = 512
    layers: int = 2


@dataclass
class MaCLROptions:
    """MaCLR; its authors call the training method patent pending.

    Args:
        motion_arch: backbone of the motion pathway.
        motion_input: what the motion pathway sees.
        flow_preset: of OpenCV's flow, quick to careful, where no flow was made beforehand.
        queue_size: rows of each of the two queues.
        dim: length of the features that are compared.
        hidden: channels inside the projectors.
        momentum: of the key networks, in [0, 1].
        temperature: of every loss.
        cross_weight: of each direction of the visual-motion loss.
        visual_weight: of the visual-visual loss.
        motion_weight: of the motion-motion loss.
        channels_last: memory layout of backbones and clips.
        motion_settings: keyword arguments of the motion backbone; null: the light one for slow_r50, else none.
    """

    motion_arch: str = "slow_r50"
    motion_input: Literal["flow_edges", "flow", "frame_difference"] = "flow_edges"
    flow_preset: Literal["ultrafast", "fast", "medium"] = "medium"
    queue_size: int = 65536
    dim: int = 128
    hidden: int = 2048
    momentum: float = 0.999
    temperature: float = 0.1
    cross_weight: float = 1.0
    visual_weight: float = 1.0
    motion_weight: float = 0.0
    channels_last: bool = True
    motion_settings: dict[str, Any] | None = None


METHODS: dict[str, tuple[str, type]] = {
    "moco": ("MoCo", MoCoOptions),
    "fima": ("FIMA", FIMAOptions),
    "maclr": ("MaCLR", MaCLROptions),
}
"""Name of each method in recipes → its class in `fima.methods`, and its options."""
