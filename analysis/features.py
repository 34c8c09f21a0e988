"""Feature maps of clips: the public name of `analysis.inputs.features`."""

from analysis.inputs.features import FeatureExtractor, Features, MotionPathway, choose_device

__all__ = ["FeatureExtractor", "Features", "MotionPathway", "choose_device"]
