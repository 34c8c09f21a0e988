"""See, and measure, what a video backbone attends to: activation maps, affinity, temporal similarity.

Importing this package does not import torch: the submodules do, when they are asked for.
"""
