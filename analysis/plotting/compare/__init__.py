"""Figures of several checkpoints side by side."""
