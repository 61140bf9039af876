"""Finds the agents that the fleet runs in the states that the console keeps. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from countingroom.console.present import partition_words
from countingroom.core.fleet.states import ServiceState

_SYSTEM = "system."


def services_of_systems(words: Mapping[str, Struct]) -> dict[str, str]:
    """System -> the service that runs its agent."""
    return {
        word.runs.removeprefix(_SYSTEM): word.service
        for word in words.values()
        if isinstance(word, ServiceState) and word.runs.startswith(_SYSTEM)
    }


def partitions_of(words: Mapping[str, Struct], service: ServiceState) -> list[str]:
    """The partitions with the system of the agent that a service runs."""
    if not service.runs.startswith(_SYSTEM):
        return []
    system = service.runs.removeprefix(_SYSTEM)
    states = partition_words.partitions(words)
    return [name for name, state in states.items() if any(one.system == system for one in state.members)]
