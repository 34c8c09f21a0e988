"""Checkpoints are written whole, and what hinders that is told by its own name."""

import pytest
import torch

from fima.checkpoints.files import write_checkpoint

KILLED = "DataLoader worker (pid 1) is killed by signal: Killed."


class _Dying:
    def __reduce__(self):
        raise RuntimeError(KILLED)


def test_a_worker_that_dies_meanwhile_is_not_taken_for_a_full_disk(tmp_path, monkeypatch):
    """torch's signal handler raises wherever the main thread is, in the middle of writing or of closing the file."""
    with pytest.raises(RuntimeError, match=r"^DataLoader worker"):
        write_checkpoint(tmp_path / "a.ckpt", {"a": torch.zeros(3), "b": _Dying()})

    def closing(content, file):
        try:
            raise RuntimeError(KILLED)
        finally:
            raise RuntimeError("unexpected pos 64 vs 0")

    monkeypatch.setattr(torch, "save", closing)
    with pytest.raises(RuntimeError, match=r"^DataLoader worker"):
        write_checkpoint(tmp_path / "a.ckpt", {})
    assert list(tmp_path.iterdir()) == []
