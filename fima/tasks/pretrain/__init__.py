"""Pre-training a method: configuration, recipes, data, Lightning module, run."""
