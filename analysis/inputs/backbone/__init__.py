"""From a checkpoint or a module to feature maps."""
