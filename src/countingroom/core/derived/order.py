"""The order in which values that depend on each other are computed, and loops among them. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from graphlib import CycleError, TopologicalSorter


def in_order(inputs: Mapping[str, Collection[str]]) -> list[str]:
    """The names, each after those of its inputs that are names too. ValueError: there is a loop."""
    if found := loop(inputs):
        raise ValueError(f"it depends on itself: {' → '.join(found)}")
    return list(_sorter(inputs).static_order())


def loop(inputs: Mapping[str, Collection[str]]) -> list[str]:
    """A loop of names, each before what it needs and the first one again at the end; empty: there is none."""
    try:
        _sorter(inputs).prepare()
    except CycleError as error:
        return list(reversed(error.args[1]))
    return []


def _sorter(inputs: Mapping[str, Collection[str]]) -> TopologicalSorter[str]:
    return TopologicalSorter({name: [one for one in needed if one in inputs] for name, needed in inputs.items()})
