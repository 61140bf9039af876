"""Computes the effects of each combination of causes with the step function of interlocks. Pure.

A cause either trips or does not: true, stale, bad and missing inputs count alike, and a bypassed cause does not trip.
So n causes have 2^n combinations. An effect acts when at least one of its causes trips, so the effects of a combination
are the union of the effects of its causes. Up to MOST_ENUMERATED causes every combination is tried all the same, as a
check of the step function. With more causes, single causes, pairs, and all causes together are tried.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import combinations

from msgspec import Struct

from countingroom.core.interlocks.chart import initial, next_due_ns, step
from countingroom.core.interlocks.events import InputReading
from countingroom.core.interlocks.specs import InterlockSpec
from countingroom.core.interlocks.states import Truth

MOST_ENUMERATED = 10
"""Causes up to which every combination is tried: 1,024 of them."""


class MatrixOutcome(Struct, frozen=True, kw_only=True):
    """The effects of one combination of causes when all delays are over."""

    causes: tuple[str, ...]
    """Those that trip."""
    effects: tuple[str, ...]
    """Those that act, in the order of the description."""


def outcomes(spec: InterlockSpec) -> Iterator[MatrixOutcome]:
    """The outcomes of the combinations that are tried, from no cause to all."""
    names = [one.name for one in spec.causes]
    sizes = range(len(names) + 1) if len(names) <= MOST_ENUMERATED else (0, 1, 2, len(names))
    for size in sizes:
        for chosen in combinations(names, size):
            yield MatrixOutcome(causes=chosen, effects=outcome(spec, chosen))


def outcome(spec: InterlockSpec, chosen: Collection[str]) -> tuple[str, ...]:
    """The effects that act after these causes and no others have been present for long."""
    inputs = {
        (one.name, number): InputReading(Truth.TRUE if one.name in chosen else Truth.FALSE)
        for one in spec.causes
        for number in range(len(one.inputs))
    }
    state, _ = step(spec, initial(spec), inputs, 1)
    while (due_ns := next_due_ns(state)) is not None:
        state, _ = step(spec, state, inputs, due_ns)
    return tuple(one.name for one in state.effects if one.acting_ns is not None)


def expected(spec: InterlockSpec, chosen: Collection[str]) -> tuple[str, ...]:
    """The effects that the matrix gives to these causes."""
    led_to = {cell.effect for cell in spec.matrix if cell.cause in chosen}
    return tuple(one.name for one in spec.effects if one.name in led_to)


def combinations_of(spec: InterlockSpec) -> int:
    """The number of all combinations."""
    return 1 << len(spec.causes)
