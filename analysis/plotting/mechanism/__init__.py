"""Figures of FIMA's mechanism."""
