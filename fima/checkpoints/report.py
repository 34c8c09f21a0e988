"""Where every entry of a checkpoint went. Imports no torch."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["LoadReport", "ShapeMismatch"]

_COUNTER = "num_batches_tracked"


@dataclass(frozen=True)
class ShapeMismatch:
    """An entry that has its name but not its shape."""

    key: str
    name: str
    expected: tuple[int, ...]
    found: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.name} (expected {self.expected}, found {self.found})"


@dataclass(frozen=True)
class LoadReport:
    """Where every entry went.

    Every key of the checkpoint's state dict is in exactly one of ``loaded``, ``unexpected``, ``shape_mismatch`` and
    ``ignored``; every entry of the backbone is in exactly one of ``loaded``, ``missing`` and ``shape_mismatch``.

    Attributes:
        format: the family of the checkpoint; ``"untrained"`` for random weights.
        arch: the architecture.
        loaded: key in the file → name in the backbone.
        missing: names in the backbone that the file has nothing for.
        unexpected: keys inside the backbone's part of the file that have no place in it.
        shape_mismatch: entries of another shape.
        ignored: key in the file → why it is left aside: heads, queues, key networks.
        not_finite: names whose values are not all finite numbers (they are also in ``loaded``).
        notes: what else a reader should know, in sentences.
        other_type: names whose values are whole or complex numbers where the backbone has real ones.
    """

    format: str
    arch: str
    loaded: dict[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    shape_mismatch: tuple[ShapeMismatch, ...] = ()
    ignored: dict[str, str] = field(default_factory=dict)
    not_finite: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    other_type: tuple[str, ...] = ()

    @property
    def tolerated(self) -> tuple[str, ...]:
        """Missing names that do no harm: counters of batches, which files from before PyTorch 0.4.1 lack."""
        return tuple(name for name in self.missing if name.endswith(_COUNTER))

    @property
    def problems(self) -> tuple[str, ...]:
        """What keeps the backbone from being used, each with a count and the first few names."""
        size = len(self.loaded) + len(self.missing) + len(self.shape_mismatch)
        missing = [name for name in self.missing if not name.endswith(_COUNTER)]
        found = {
            f"of {size} entries missing": missing,
            "of another shape": [str(item) for item in self.shape_mismatch],
            "without a place in it": list(self.unexpected),
            "not finite": list(self.not_finite),
            "not of real numbers": list(self.other_type),
        }
        return tuple(f"{len(names)} {what}: {_first(names)}" for what, names in found.items() if names)

    @property
    def complete(self) -> bool:
        """Whether the whole backbone was filled from the file, and nothing of its part was left over."""
        return not self.problems

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def _first(names: list[str], count: int = 3) -> str:
    return ", ".join(names[:count]) + (", …" if len(names) > count else "")
