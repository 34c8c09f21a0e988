"""Fixtures shared by all tests: the reference numbers and the real clips, skipped with a message where absent."""

from __future__ import annotations

import json
import math
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import settings

# Shared machines pause; how long an example takes says nothing about the code.
settings.register_profile("fima", deadline=None)
settings.load_profile("fima")

# Started in the background of a shell, a process and all its children ignore Ctrl-C; the tests of Ctrl-C need it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

REPO = Path(__file__).resolve().parents[1]
SHARED = REPO.parent / "shared"


def _need(path: Path) -> Path:
    if not path.exists():
        pytest.skip(f"{path.name} is not beside this checkout (../shared)")
    return path


@pytest.fixture(scope="session")
def repo_dir() -> Path:
    return REPO


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    return _need(SHARED)


@pytest.fixture(scope="session")
def clips_dir() -> Path:
    return _need(SHARED / "data" / "clips")


@pytest.fixture(scope="session")
def fight_dir() -> Path:
    return _need(SHARED / "data" / "surveillance-fight")


class Golden:
    """Numbers of the reference implementation, its checkpoint names and the rule that fills weights."""

    def __init__(self, folder: Path) -> None:
        self.arrays = dict(np.load(folder / "golden.npz"))
        self.names: dict[str, list[tuple[str, list[int], str]]] = json.loads(
            (folder / "reference_names.json").read_text()
        )

    def tensor(self, name: str) -> torch.Tensor:
        return torch.from_numpy(self.arrays[name])

    def state(self, arch: str) -> dict[str, torch.Tensor]:
        """The state dict of a reference module under the golden rule."""
        return {name: self._fill(i, name, shape, dtype) for i, (name, shape, dtype) in enumerate(self.names[arch])}

    @staticmethod
    def _fill(i: int, name: str, shape: list[int], dtype: str) -> torch.Tensor:
        if "float" not in dtype:
            return torch.zeros(shape, dtype=torch.int64)
        phase = torch.arange(math.prod(shape), dtype=torch.float64) * 0.731 + 0.37 * i
        wave = torch.sin(phase).float().reshape(shape)
        if len(shape) >= 2:
            return wave * (2 / math.prod(shape[1:])) ** 0.5 * 1.4
        if name.endswith("running_var"):
            return 1 + 0.3 * wave.abs()
        if name.endswith("running_mean"):
            return 0.1 * wave
        return 1 + 0.1 * wave if name.endswith("weight") else 0.1 * wave

    @staticmethod
    def clip(n: int, t: int, h: int, w: int, phase: float = 0.0) -> torch.Tensor:
        steps = torch.arange(n * 3 * t * h * w, dtype=torch.float64) * 0.0137 + phase
        return (0.5 + 0.5 * torch.sin(steps)).float().reshape(n, 3, t, h, w)


@pytest.fixture(scope="session")
def golden() -> Golden:
    return Golden(REPO / "tests" / "golden")


def relative_error(ours: Any, theirs: Any) -> float:
    """Norm of the difference over the norm of the reference."""
    ours, theirs = torch.as_tensor(ours).double(), torch.as_tensor(theirs).double()
    return float((ours - theirs).norm() / theirs.norm())


@pytest.fixture(scope="session")
def rel_err() -> Any:
    return relative_error
