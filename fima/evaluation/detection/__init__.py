"""Public names of earlier versions; detection itself is `fima.tasks.detect`."""
