"""One way to train: order of samples, schedule, loop, checkpoints, resume, and what a run watches for."""
