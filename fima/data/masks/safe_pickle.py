"""Reading pickles of plain containers and arrays without running what they ask for.

Not even numpy's own reconstruction runs, as an array's state may describe memory that is not there: what a file calls
numpy's types are stand-ins here that keep the bytes, and only numbers are read out of them.
"""

from __future__ import annotations

import collections
import io
import math
import pickle
import re
import struct
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fima.errors import InputError

__all__ = ["PickledArray", "load_plain", "numbers"]

_NUMBER = re.compile(r"b1|[iu][1248]|f[248]", re.ASCII)


class _ArrayType:
    """Stands for ``numpy.ndarray``, which is only ever named."""


class _NumberType:
    """Stands for ``numpy.dtype``."""

    def __init__(self, code: Any, *_: Any) -> None:
        self._code = code
        self._order: Any = "|"

    def __setstate__(self, state: Any) -> None:
        self._order = state[1]

    def read(self) -> np.dtype[Any]:
        """The type, if it is one of numbers."""
        code = self._code
        if not (isinstance(code, str) and _NUMBER.fullmatch(code)) or self._order not in ("<", ">", "=", "|"):
            raise ValueError(f"expected an array of numbers, found one of {code!r}")
        return np.dtype(code if self._order == "|" else f"{self._order}{code}")


class PickledArray:
    """An array as the file holds it; `numbers` reads it."""

    def __init__(self, shape: Any = (), kind: Any = None, data: Any = b"", order: Any = "C") -> None:
        self._shape, self._kind, self._data, self._order = shape, kind, data, order

    def __setstate__(self, state: Any) -> None:
        _, self._shape, self._kind, fortran, self._data = state
        self._order = "F" if fortran else "C"

    def read(self) -> NDArray[Any]:
        """The array.

        Raises:
            ValueError: if it holds no numbers, or not as many as its shape says.
        """
        if not isinstance(self._kind, _NumberType) or not _is_shape(self._shape):
            raise ValueError("expected an array of numbers")
        kind = self._kind.read()
        flat = np.frombuffer(_to_bytes(self._data), kind)
        if math.prod(self._shape) != flat.size:
            raise ValueError(f"an array of shape {self._shape} holds {flat.size} numbers")
        return flat.reshape(self._shape, order="F" if self._order == "F" else "C")


def _is_shape(value: Any) -> bool:
    return isinstance(value, tuple) and all(type(n) is int and n >= 0 for n in value)


def _to_bytes(data: Any) -> bytes:
    """Bytes, which in files of Python 2 are text."""
    if isinstance(data, str):
        return data.encode("latin-1")
    if not isinstance(data, bytes | bytearray):
        raise ValueError("expected an array's bytes")
    return bytes(data)


def _reconstruct(*_: Any) -> PickledArray:
    return PickledArray()


def _from_buffer(data: Any, kind: Any, shape: Any, order: Any) -> PickledArray:
    return PickledArray(shape, kind, data, order)


def _scalar(kind: Any, data: Any) -> Any:
    return PickledArray((), kind, data).read().item()


def _encode(text: Any, encoding: Any = None) -> bytes:
    if encoding != "latin1":
        raise ValueError(f"expected bytes in latin1, found {encoding!r}")
    return str(text).encode("latin-1")


def _no_bytes() -> bytes:
    """What Python 3 asks ``bytes`` for in old protocols; a length given here could take all memory."""
    return b""


_NUMPY: dict[str, dict[str, Any]] = {
    "multiarray": {"_reconstruct": _reconstruct, "scalar": _scalar},
    "numeric": {"_frombuffer": _from_buffer},
}
_CONTAINERS: dict[str, Any] = {
    "dict": dict,
    "list": list,
    "tuple": tuple,
    "set": set,
    "frozenset": frozenset,
    "bytes": _no_bytes,
}
_KNOWN: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): _ArrayType,
    ("numpy", "dtype"): _NumberType,
    ("_codecs", "encode"): _encode,
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("collections", "defaultdict"): collections.defaultdict,
    # As numpy 2 and numpy 1 name them, Python 3 and Python 2.
    **{
        (f"numpy.{core}.{module}", name): value
        for core in ("_core", "core")
        for module, names in _NUMPY.items()
        for name, value in names.items()
    },
    **{(module, name): kind for module in ("builtins", "__builtin__") for name, kind in _CONTAINERS.items()},
}


def _load_bytearray(unpickler: Any) -> None:
    """Reads before it makes room: a false length must not take all memory."""
    (size,) = struct.unpack("<Q", unpickler.read(8))
    content = unpickler.read(size)
    if len(content) != size:
        raise ValueError(f"expected {size} bytes, found {len(content)}")
    unpickler.append(bytearray(content))


# The one in Python: where the one in C notes an object under a number, it makes room for all numbers up to it, so that
# six bytes of a damaged file take all memory.
class _Unpickler(pickle._Unpickler):
    dispatch: ClassVar[dict[int, Any]] = {**pickle._Unpickler.dispatch, pickle.BYTEARRAY8[0]: _load_bytearray}

    def __init__(self, path: Path, content: bytes) -> None:
        super().__init__(io.BytesIO(content), encoding="latin-1")  # bytes of Python 2 are kept one by one
        self._path = path

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _KNOWN[module, name]
        except KeyError:
            wanted = f"{module}.{name}"
            raise InputError(
                f"{self._path}: asks for {wanted!r}, expected only numbers, text, arrays and plain containers; "
                "not loaded, as it could run code"
            ) from None


def load_plain(path: str | Path) -> Any:
    """Reads a pickle of Python 2 or 3 that holds numbers, text, arrays of numbers and plain containers.

    Args:
        path: of the file.

    Returns:
        What it holds; each array is a `PickledArray`.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if it asks for anything else, of which nothing has then run, or cannot be read.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    try:
        return _Unpickler(path, content).load()
    except InputError:
        raise
    except Exception as error:  # a damaged pickle may raise anything
        raise InputError(f"{path}: cannot be read as a pickle ({_one_line(error)})") from None


def numbers(value: Any) -> NDArray[np.float64]:
    """An array of any shape, or a flat list or tuple, as float64.

    Raises:
        ValueError: if it is none of these, or holds anything but numbers.
    """
    if isinstance(value, PickledArray):
        with np.errstate(invalid="ignore"):  # NaN is for the caller to refuse
            return value.read().astype(np.float64)
    # Flat: nested lists that share their parts could stand for more numbers than there is memory.
    if isinstance(value, list | tuple) and all(isinstance(number, int | float) for number in value):
        with suppress(OverflowError):
            return np.array(value, np.float64)
    raise ValueError(f"expected numbers, found {type(value).__name__}")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
