"""What frameworks put around a state dict, and in front of its keys."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from fima.errors import CheckpointError

__all__ = ["Unwrapped", "plain_key", "some", "unwrap"]

#: Where a state dict may be, in the order of preference. DeepSpeed writes ``module``; V-JEPA the three encoders, of
#: which its evaluation uses the target's; moving averages are taken where there is nothing else.
_CONTAINERS = (
    "state_dict",
    "model_state",
    "model_state_dict",
    "bb_state_dict",
    "model",
    "module",
    "target_encoder",
    "ema_encoder",
    "encoder",
    "net",
    "state_dict_ema",
    "model_ema",
)

#: What else a file may hold beside it.
_BESIDE = {
    "predictor": "predictor",
    "decoder": "decoder",
    "head": "classifier or head",
    "classifier": "classifier or head",
    "encoder": "another encoder, not taken",
    "target_encoder": "another encoder, not taken",
    "ema_encoder": "another encoder, not taken",
    "state_dict_ema": "moving average of the weights, not taken",
    "model_ema": "moving average of the weights, not taken",
}

_WRAPPED = re.compile(r"(?:^|(?<=\.))(?:_orig_mod|module|_fsdp_wrapped_module)\.")


@dataclass(frozen=True)
class Unwrapped:
    """A state dict and what is around it.

    Attributes:
        state: key → value.
        wrapper: the word it was found under; None: it was the whole file.
        metadata: everything beside it.
        others: word → another state dict beside it.
    """

    state: dict[str, Any]
    wrapper: str | None
    metadata: dict[str, Any]
    others: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def beside(self) -> dict[str, str]:
        """``word.key`` of every entry of the other state dicts → why it is left aside."""
        return {f"{word}.{key}": _BESIDE[word] for word, other in self.others.items() for key in other}

    @property
    def notes(self) -> tuple[str, ...]:
        """Which of several state dicts was taken, in a sentence."""
        if not self.others:
            return ()
        return (f"the weights are those under {self.wrapper!r}; the file also holds {', '.join(self.others)}",)


def unwrap(content: Any, path: object) -> Unwrapped:
    """Find the state dict in what a file holds.

    Raises:
        CheckpointError: if there is none.
    """
    if isinstance(content, nn.Module):
        return Unwrapped(dict(content.state_dict()), "a pickled module", {})
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{path}: holds a {type(content).__name__}, expected a state dict or a mapping with one")
    for wrapper in _CONTAINERS:
        state = _state_dict(content.get(wrapper))
        if state is not None:
            metadata = {str(key): value for key, value in content.items() if key != wrapper}
            others = {word: _state_dict(content.get(word)) for word in _BESIDE if word != wrapper}
            return Unwrapped(state, wrapper, metadata, {word: other for word, other in others.items() if other})
    state = _state_dict(content)
    if state is not None:
        return Unwrapped(state, None, {})
    raise CheckpointError(f"{path}: no state dict in it; it holds {some(map(str, content))}")


def plain_key(key: str) -> str:
    """A key without what DataParallel, FSDP and torch.compile put into it, wherever they do."""
    return _WRAPPED.sub("", key)


def some(names: Iterable[str]) -> str:
    """The first few names, for a message."""
    listed = list(names)
    return ", ".join(listed[:3]) + (", …" if len(listed) > 3 else "") if listed else "nothing"


def _state_dict(value: Any) -> dict[str, Any] | None:
    if isinstance(value, nn.Module):
        value = value.state_dict()
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        return None
    return dict(value) if any(isinstance(entry, Tensor) for entry in value.values()) else None
