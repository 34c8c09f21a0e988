"""Checkpoints of video transformers: whose they are, and how their entries become ours."""
