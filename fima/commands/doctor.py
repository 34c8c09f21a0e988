"""``fima doctor``: whether what is installed here works together, and what is missing for what."""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import platform
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

__all__ = ["EXTRAS", "Finding", "add_arguments", "examine", "run"]

EXTRAS: Mapping[str, tuple[str, ...]] = {
    "the core": ("torch>=2.6", "numpy>=1.26", "scipy>=1.11", "av>=14", "opencv-python-headless>=4.10", "pyyaml>=6.0"),
    "train": ("jsonargparse>=4.40", "lightning>=2.5", "pandas>=2.2", "pyarrow>=15", "scikit-learn>=1.5"),
    "analysis": ("captum>=0.7", "jinja2>=3.1", "matplotlib>=3.9", "pandas>=2.2", "pillow>=10.4", "seaborn>=0.13"),
    "notebooks": ("ipykernel>=6.29", "ipywidgets>=8.1", "jupyterlab>=4.2", "nbconvert>=7.16", "papermill>=2.6"),
    "hub": ("safetensors>=0.5", "transformers>=5.24"),
}
"""Extra → what it needs; a test compares it with pyproject.toml."""

_CODECS = ("h264", "hevc", "vp9", "av1", "mpeg4")


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        what: its name.
        state: ``ok``, ``missing`` (only what needs it does not work) or ``broken``.
        detail: versions, or what to do.
    """

    what: str
    state: str
    detail: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of ``fima doctor``: none."""
    del parser


def run(args: argparse.Namespace) -> int:
    """Print what was found; the exit code is 2 if something is broken."""
    findings = list(examine())
    width = max(len(finding.what) for finding in findings)
    for finding in findings:
        sys.stdout.write(f"{finding.state:8}{finding.what:{width + 2}}{finding.detail}\n")
    return 2 if any(finding.state == "broken" for finding in findings) else 0


def examine() -> Iterator[Finding]:
    """Look at everything, one after another."""
    yield Finding("Python", "ok", f"{platform.python_version()} on {platform.platform()}")
    for extra, requirements in EXTRAS.items():
        yield _extra(extra, requirements)
    yield _accelerator()
    if (torchvision := _version("torchvision")) is not None:
        yield _torchvision(torchvision)
    yield _transformers()
    yield _codecs()


def _extra(extra: str, requirements: tuple[str, ...]) -> Finding:
    wrong = []
    for requirement in requirements:
        name, lowest = requirement.split(">=")
        version = _version(name)
        if version is None:
            wrong.append(f"{name} is not installed")
        elif _numbers(version) < _numbers(lowest):
            wrong.append(f"{name} is {version}, needed is {lowest} or later")
    if not wrong:
        return Finding(
            extra, "ok", ", ".join(f"{r.split('>=')[0]} {_version(r.split('>=')[0])}" for r in requirements[:3])
        )
    install = f"pip install {'.' if extra == 'the core' else repr(f'.[{extra}]')} in the clone"
    return Finding(extra, "broken" if extra == "the core" else "missing", f"{'; '.join(wrong)}: {install}")


def _accelerator() -> Finding:
    import torch

    if torch.cuda.is_available():
        names = ", ".join(torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count()))
        return Finding("GPU", "ok", names)
    built = (
        f"torch is built for CUDA {torch.version.cuda}, but sees none" if torch.version.cuda else "torch is CPU only"
    )
    return Finding("GPU", "missing", f"{built}: everything runs on the processor")


def _torchvision(version: str) -> Finding:
    """Nothing here needs it, but one of another torch breaks the import of transformers."""
    try:
        importlib.import_module("torchvision")
    except Exception as error:  # its own operators fail in ways of torch
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        detail = f"{version} does not fit torch {_version('torch')} ({first}): pip uninstall torchvision"
        return Finding("torchvision", "broken", detail)
    return Finding("torchvision", "ok", f"{version}, not needed here")


def _transformers() -> Finding:
    if _version("transformers") is None:
        return Finding("transformers", "missing", "for ViViT and VideoPrism folders: pip install '.[hub]' in the clone")
    try:
        getattr(importlib.import_module("transformers"), "VivitModel")  # noqa: B009 -- it is loaded when asked for
    except Exception as error:
        return Finding("transformers", "broken", f"{type(error).__name__}: {str(error).strip().splitlines()[-1]}")
    return Finding("transformers", "ok", f"{_version('transformers')}")


def _codecs() -> Finding:
    import av

    absent = [name for name in _CODECS if name not in av.codecs_available]
    if absent:
        return Finding(
            "video codecs", "broken", f"PyAV {av.__version__} cannot read {', '.join(absent)}; pip install av"
        )
    return Finding("video codecs", "ok", f"PyAV {av.__version__} reads {', '.join(_CODECS)}")


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version.partition("+")[0])[:3])
