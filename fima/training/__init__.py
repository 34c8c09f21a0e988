"""Training: what moves a method from step to step, and what a run leaves on disk; no reader of checkpoints needs it."""
