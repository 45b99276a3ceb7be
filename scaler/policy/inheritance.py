"""How one layer of a policy lies over another: mappings merge, lists and scalars replace.

Every value of the result is a node of the layer that said it last, so it still knows its own file and line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce

from scaler.policy.tree import Node


def overlay(below: Node, above: Node) -> Node:
    """`above` over `below`. An explicit null replaces too: it takes back what would be inherited."""
    if not isinstance(below.value, Mapping) or not isinstance(above.value, Mapping):
        return above
    merged = dict(below.value)
    for name, node in above.value.items():
        merged[name] = overlay(merged[name], node) if name in merged else node
    return Node(above.place, merged)


def merged(layers: Sequence[Node]) -> Node:
    """All layers, most specific first, as one tree. There is at least one."""
    return reduce(lambda above, below: overlay(below, above), layers)
