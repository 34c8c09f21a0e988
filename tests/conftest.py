"""Fixtures shared by all tests: the reference numbers, and real or made clips."""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import shutil
import signal
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import settings

from tests.media import fill_clips, fill_fights, made_once

# Shared machines pause; how long an example takes says nothing about the code. What is drawn is the same each time.
settings.register_profile("fima", deadline=None, derandomize=True)
settings.load_profile("fima")

# Started in the background of a shell, a process and all its children ignore Ctrl-C; the tests of Ctrl-C need it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

REPO = Path(__file__).resolve().parents[1]
REAL = Path(os.environ.get("FIMA_REAL_VIDEOS", REPO.parent / "shared" / "data"))


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Small tensors on a shared machine: threads that wait for each other take longer than the work."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def repo_dir() -> Path:
    return REPO


@pytest.fixture(scope="session")
def clips_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real clips where they lie beside the checkout, else made ones of the same names, codecs and lengths."""
    return _real_or_made("clips", fill_clips, tmp_path_factory)


@pytest.fixture(scope="session")
def fight_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set in UCF101's layout with source recordings: real, or made."""
    return _real_or_made("surveillance-fight", fill_fights, tmp_path_factory)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Real files whose faults cannot be made here; tests of those alone are skipped without them."""
    if not (REAL / "surveillance-fight").is_dir():
        pytest.skip("files with faults of real cameras lie in ../shared/data, which is not here")
    return REAL


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Headless Chromium."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no Chromium on this machine")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        opened = play.chromium.launch(executable_path=path, args=["--no-sandbox"], timeout=120_000)
        yield opened
        opened.close()


def _real_or_made(name: str, fill: Callable[[Path], None], factory: pytest.TempPathFactory) -> Path:
    if (REAL / name).is_dir():
        return REAL / name
    base = factory.getbasetemp()
    return made_once((base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / f"made-{name}", fill)


class TransformerGolden:
    """Numbers of the authors' video transformers, the names in their files, and the rule that fills weights and clips.

    ``tests/golden/README.md`` says how the numbers were made.
    """

    def __init__(self, folder: Path) -> None:
        self.arrays = dict(np.load(folder / "transformers.npz"))
        self.cases = json.loads((folder / "transformers_names.json").read_text())["cases"]

    def tensor(self, *path: str) -> torch.Tensor:
        return torch.from_numpy(self.arrays["/".join(path)])

    def clip(self, case: str, label: str = "native") -> torch.Tensor:
        """A normalized clip ``(N, 3, T, H, W)``."""
        n, t, h, w, seed = self.cases[case]["outs"][label]["input"]
        size = n * 3 * t * h * w
        wave = 0.5 + 0.5 * torch.sin(torch.arange(size, dtype=torch.float64) * 0.0137 + float(seed))
        return (2 * wave - 1 + _noise(size, f"video/{seed}")).float().reshape(n, 3, t, h, w)

    def parts(self, case: str) -> dict[str, dict[str, torch.Tensor]]:
        """Container → its state dict."""
        parts = {}
        for part, entries in expand_parts(self.cases[case]["parts"]).items():
            state = {key: _fill(f"{case}/{part}/{key}", key, shape, dtype) for key, shape, dtype in entries}
            for word, factor in self.cases[case].get("scale", {}).items():
                state |= {key: value * factor for key, value in state.items() if word in key}
            parts[part] = state
        return parts

    def content(self, case: str) -> dict[str, Any]:
        """What the authors' program would have saved."""
        parts = self.parts(case)
        around: dict[str, dict[str, Any]] = {
            "train": {"optimizer": {}, "epoch": 7, "scaler": {}, "args": argparse.Namespace(input_size=1)},
            "deepspeed": {"ds_config": {"fp16": True}, "ds_version": "0.9", "lr_scheduler": None, "epoch": 7},
            "jepa": {"opt": {}, "scaler": None, "epoch": 7, "loss": 0.5, "batch_size": 8, "world_size": 2, "lr": 1e-3},
            "pyslowfast": {"epoch": 7, "optimizer_state": {}, "cfg": "TRAIN: {ENABLE: true}"},
            "bare": {},
        }
        return {**parts, **around[self.cases[case]["extras"]]}

    def write(self, case: str, folder: Path) -> Path:
        """The file or Hugging Face folder of a case."""
        folder.mkdir(exist_ok=True)
        if self.cases[case]["extras"] != "hf_folder":
            path = folder / self.cases[case]["file"]
            torch.save(self.content(case), path)
            return path
        from safetensors.torch import save_file

        (folder / "config.json").write_text(json.dumps(self.cases[case]["hf_config"]))
        save_file(self.parts(case)["model.safetensors"], folder / "model.safetensors", {"format": "pt"})
        return folder


def expand_parts(parts: dict[str, Any]) -> dict[str, list[tuple[str, list[int], str]]]:
    """Container → entries, with ``{0-11}`` in a key standing for as many entries."""
    expanded = {}
    for part, rows in parts.items():
        entries = []
        for key, shape, dtype in parts["target_encoder"] if rows == "as target_encoder" else rows:
            span = re.search(r"\{(\d+)-(\d+)\}", key)
            numbers = range(int(span[1]), int(span[2]) + 1) if span else [0]
            entries += [(key.replace(span[0], str(number)) if span else key, shape, dtype) for number in numbers]
        expanded[part] = entries
    return expanded


def _noise(count: int, tag: str) -> torch.Tensor:
    """Numbers in [-1, 1) that depend on the tag alone: a hash of the index, the same on every machine."""
    h = (np.arange(count, dtype=np.uint64) * 2654435761 + zlib.crc32(tag.encode())) & 0xFFFFFFFF
    h ^= h >> 15
    h = (h * 2246822519) & 0xFFFFFFFF
    h ^= h >> 13
    h = (h * 3266489917) & 0xFFFFFFFF
    h ^= h >> 16
    return torch.from_numpy(h.astype(np.float64) / 2**31 - 1)


def _fill(tag: str, key: str, shape: list[int], dtype: str) -> torch.Tensor:
    if "int" in dtype:
        return torch.zeros(shape, dtype=torch.int64)
    u = _noise(math.prod(shape), tag).reshape(shape)
    if key.endswith("weight"):
        u = u * (6 / math.prod(shape[1:])) ** 0.5 if len(shape) >= 2 else 1 + 0.2 * u
    elif key.endswith("running_var"):
        u = 1 + 0.3 * u.abs()
    else:
        u = (0.3 if key.endswith(("bias", "running_mean")) else 0.8) * u
    return u.to(getattr(torch, dtype))


@pytest.fixture(scope="session")
def transformers_golden() -> TransformerGolden:
    return TransformerGolden(REPO / "tests" / "golden")


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


@pytest.fixture(scope="session")
def write_miniature() -> Any:
    """Writes a miniature of AVA."""
    from fima.data.shapes.detection import write_miniature

    return write_miniature


def relative_error(ours: Any, theirs: Any) -> float:
    """Norm of the difference over the norm of the reference."""
    ours, theirs = torch.as_tensor(ours).double(), torch.as_tensor(theirs).double()
    return float((ours - theirs).norm() / theirs.norm())


@pytest.fixture(scope="session")
def rel_err() -> Any:
    return relative_error
