"""Video transformers: networks whose tokens stay on their grid, so that every layer is a feature map."""
