"""What goes along with a run: progress, records, checkpoints, and what stops it."""
