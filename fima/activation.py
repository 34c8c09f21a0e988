"""Class-agnostic activation maps and the foreground mask: the public name of `fima.methods.activation`."""

from fima.methods.activation import activation_boxes, check_feature_maps, class_agnostic_activation_map, foreground_mask

__all__ = ["activation_boxes", "check_feature_maps", "class_agnostic_activation_map", "foreground_mask"]
