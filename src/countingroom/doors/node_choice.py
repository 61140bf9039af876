"""Which nodes a command of a door is for: names or a category, of those that are not disabled. Pure.

fliswarm takes an unknown name for no node at all, and says that all is well. Here it is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from countingroom.core.errors import Conflict, NotFound
from countingroom.core.fleet.states import NodeState


def listed(text: str | None) -> list[str]:
    """`gfa1, gfa2` as names."""
    return list(dict.fromkeys(name for one in (text or "").split(",") if (name := one.strip())))


def known(nodes: Mapping[str, NodeState], names: Sequence[str]) -> list[NodeState]:
    """The nodes of these names. NotFound where there is none of a name."""
    if missing := [name for name in names if name not in nodes]:
        raise NotFound(f"Cannot find node {', '.join(missing)}.", suggestion=f"nodes: {', '.join(nodes) or 'none'}")
    return [nodes[name] for name in names]


def choose(nodes: Mapping[str, NodeState], names: str | None, category: str | None) -> list[NodeState]:
    """The nodes of these names and those of these categories; all where neither is given.

    NotFound for a name or category that does not exist, Conflict where a node is named that is disabled, or all are.
    """
    chosen = {one.node: one for one in known(nodes, listed(names))}
    if aside := [one for one in chosen.values() if one.cordon]:
        why = "; ".join(f"{one.node}: {one.cordon.reason}, by {one.cordon.by}" for one in aside if one.cordon)
        raise Conflict(f"Disabled: {why}.", code="disabled", suggestion="enable the node first")
    for wanted in listed(category):
        found = {one.node: one for one in nodes.values() if one.category == wanted}
        if not found:
            there = ", ".join(sorted({one.category for one in nodes.values() if one.category}))
            raise NotFound(f"No node has the category {wanted}.", suggestion=f"categories: {there or 'none'}")
        chosen |= found
    if names is None and category is None:
        chosen = dict(nodes)
    enabled = [one for one in nodes.values() if one.node in chosen and one.cordon is None]
    if not enabled:
        raise Conflict("No node is enabled.", code="disabled", suggestion="enable one, or see status")
    return enabled
