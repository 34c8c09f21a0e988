"""YAML without what makes it dangerous: plain types only, no key twice, and aliases that are counted first."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

__all__ = ["load"]

_DATE = "tag:yaml.org,2002:timestamp"
_INT = "tag:yaml.org,2002:int"


def load(text: str, *, max_depth: int, max_nodes: int) -> Any:
    """What a YAML text holds: plain values, no dates.

    Args:
        text: of one document.
        max_depth: of lists and mappings in each other.
        max_nodes: values, with every alias written out: a few lines of aliases of aliases are billions.

    Raises:
        yaml.YAMLError: if it is no YAML, has a key twice or a date, or exceeds a limit.
        ValueError: for a number that is none, or has more than 64 bits.
    """
    loader = _Loader(text, max_depth)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        nodes, depth = _expanded(node, {})
        if nodes > max_nodes or depth > max_depth:
            raise yaml.YAMLError(f"its aliases expand to {nodes} values, {depth} deep")
        return loader.construct_document(node)
    finally:
        loader.dispose()


class _Loader(yaml.SafeLoader):
    def __init__(self, text: str, levels: int) -> None:
        super().__init__(text)
        self._levels = levels

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        """Counts how deep it is before the parser's own recursion ends in an error of its own."""
        self._levels -= 1
        if self._levels < 0:
            raise yaml.YAMLError("it is nested too deeply")
        node: Node | None = super().compose_node(parent, index)
        self._levels += 1
        return node

    def construct_mapping(self, node: MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Refuses a key that is there twice, of which one would be lost."""
        keys = [key.value for key, _ in node.value if isinstance(key, ScalarNode)]
        if len(set(keys)) < len(keys):
            twice = next(key for key in keys if keys.count(key) > 1)
            raise yaml.YAMLError(f"the key {twice!r} is there twice, the first time at{node.start_mark}")
        return super().construct_mapping(node, deep)


def _construct_int(loader: _Loader, node: ScalarNode) -> int:
    if len(node.value) > 20 or not -(2**63) <= (value := int(yaml.SafeLoader.construct_yaml_int(loader, node))) < 2**64:
        raise yaml.YAMLError(f"the number {node.value[:20]}… has more than 64 bits")
    return value


def _refuse_date(loader: _Loader, node: ScalarNode) -> None:
    raise yaml.YAMLError(f"{node.value[:40]} reads as a date, which no setting is; a text stands in quotes")


_Loader.add_constructor(_INT, _construct_int)
_Loader.add_constructor(_DATE, _refuse_date)


def _expanded(node: Node, known: dict[int, tuple[float, float]]) -> tuple[float, float]:
    """Number of values and depth below a node, with aliases written out; infinite where one holds itself."""
    if id(node) not in known:
        known[id(node)] = float("inf"), float("inf")
        children: list[Node] = []
        if isinstance(node, SequenceNode):
            children = node.value
        elif isinstance(node, MappingNode):
            children = [child for pair in node.value for child in pair]
        counts = [_expanded(child, known) for child in children]
        known[id(node)] = 1 + sum(nodes for nodes, _ in counts), 1 + max((deep for _, deep in counts), default=0)
    return known[id(node)]
