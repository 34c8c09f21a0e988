"""Motion inputs made from a clip: the public name of `fima.transforms.motion`."""

from fima.transforms.motion import BOUNDARIES, FLOW_PRESETS, flow_edges, frame_difference, optical_flow

__all__ = ["BOUNDARIES", "FLOW_PRESETS", "flow_edges", "frame_difference", "optical_flow"]
