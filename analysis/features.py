"""Feature maps of clips: the public name of `analysis.inputs.backbone.features`."""

from analysis.inputs.backbone.features import FeatureExtractor, Features, MotionPathway, choose_device

__all__ = ["FeatureExtractor", "Features", "MotionPathway", "choose_device"]
