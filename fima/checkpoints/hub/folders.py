"""Hugging Face folders and safetensors files: a configuration, weights in one or more files, no code run.

What is read: ``config.json``, ``preprocessor_config.json`` (or ``video_preprocessor_config.json``), and
``model.safetensors`` or ``pytorch_model.bin``, whole or in shards with their ``.index.json``.
"""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fima.checkpoints.files import read_checkpoint, sha256_of
from fima.errors import CheckpointError, InputError
from fima.files.reading import read_json

__all__ = ["Folder", "is_model_folder", "read_folder", "read_safetensors", "require_extra"]

_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
_PROCESSORS = ("preprocessor_config.json", "video_preprocessor_config.json", "processor_config.json")


@dataclass(frozen=True)
class Folder:
    """A Hugging Face folder.

    Attributes:
        path: of it.
        config: of ``config.json``.
        processor: of ``preprocessor_config.json``; empty if there is none.
        files: that hold the weights.
    """

    path: Path
    config: dict[str, Any]
    processor: dict[str, Any]
    files: tuple[Path, ...]

    @property
    def model_type(self) -> str:
        """The family, in transformers' word."""
        return str(self.config.get("model_type", ""))

    @property
    def sha256(self) -> str:
        """Of its weights: of the file, or of the hashes of the shards one after another."""
        sums = [sha256_of(file) for file in self.files]
        return sums[0] if len(sums) == 1 else hashlib.sha256("".join(sums).encode()).hexdigest()

    def state(self, *, trust: bool = False) -> dict[str, Any]:
        """The entries of all its files.

        Raises:
            CheckpointError: if a shard lacks what the index says, or two shards hold the same entry.
        """
        index = _index_of(self.path)
        state: dict[str, Any] = {}
        for file in self.files:
            content = read_safetensors(file) if file.suffix == ".safetensors" else read_checkpoint(file, trust=trust)
            if twice := next((key for key in content if key in state), None):
                raise CheckpointError(f"{file}: holds {twice} again, which another shard has: mixed shards")
            state.update(content)
        missing = [key for key in index if key not in state]
        if missing:
            raise CheckpointError(f"{self.path / index[missing[0]]}: has no {missing[0]}, which the index puts there")
        if index and (extra := next((key for key in state if key not in index), None)):
            raise CheckpointError(f"{self.path}: its shards hold {extra}, which the index does not name: mixed shards")
        return state


def is_model_folder(path: Path) -> bool:
    """Whether a path is a Hugging Face folder."""
    return (path / "config.json").is_file()


def read_folder(path: Path) -> Folder:
    """What is in a folder, without its weights.

    Raises:
        CheckpointError: if there is no configuration or no weights, or a shard is not there.
    """
    if not is_model_folder(path):
        raise CheckpointError(f"{path}: is a folder without a config.json; expected a checkpoint file or such a folder")
    config = _read_json(path / "config.json")
    processor = next((_read_json(path / name) for name in _PROCESSORS if (path / name).is_file()), {})
    files = tuple(dict.fromkeys(path / name for name in _index_of(path).values()))
    if not files:
        files = tuple(path / name for name in _WEIGHTS if (path / name).is_file())[:1]
    if not files:
        raise CheckpointError(f"{path}: no weights beside config.json; expected {' or '.join(_WEIGHTS)}")
    if absent := next((file for file in files if not file.is_file()), None):
        raise CheckpointError(f"{absent}: no such shard, which the index of {path} names")
    return Folder(path, config, processor.get("video_processor", processor), files)


def read_safetensors(path: Path) -> dict[str, Any]:
    """The entries of a safetensors file, on the CPU.

    Raises:
        FileNotFoundError: if there is no such file.
        CheckpointError: if it is damaged.
        InputError: if safetensors is not installed.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such checkpoint")
    library = require_extra("safetensors.torch", str(path))
    try:
        return dict(library.load_file(str(path)))
    except Exception as error:  # its own error type, and OSError
        raise CheckpointError(f"{path}: not a safetensors file, or a damaged one ({error})") from error


def require_extra(module: str, what: str) -> Any:
    """Import what the extra ``hub`` installs.

    Raises:
        InputError: if it is not installed, or breaks on import, as transformers does with a torchvision of another
            torch.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        library = module.partition(".")[0]
        raise InputError(f"{what}: needs {library}; pip install '.[hub]' in the clone ({error})") from None
    except Exception as error:
        hint = "; its torchvision does not fit its torch: uninstall it" if "torchvision" in str(error) else ""
        raise InputError(f"{what}: {module} cannot be imported ({type(error).__name__}: {error}){hint}") from error


def _index_of(path: Path) -> dict[str, str]:
    """Entry → file, of an index; empty where there is none."""
    for name in _WEIGHTS:
        if (path / f"{name}.index.json").is_file():
            weights = _read_json(path / f"{name}.index.json").get("weight_map")
            if not isinstance(weights, Mapping) or not weights:
                raise CheckpointError(f"{path / name}.index.json: no weight_map in it")
            return {str(key): Path(str(file)).name for key, file in weights.items()}
    return {}


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = read_json(path)
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: cannot be read as JSON ({error})") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: holds a {type(content).__name__}, expected a mapping")
    return content
