"""From clips in [0, 1] to what a network is fed: views, colors, motion, normalization.

Torch only: nothing here knows a file or a model.
"""
