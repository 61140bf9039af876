"""What run control has published of partitions, among the states that the console keeps. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from countingroom.console.present.device_rows import DeviceRows
from countingroom.core import subjects
from countingroom.core.partitions import PartitionState
from countingroom.core.policy import Control
from countingroom.core.systems import SystemState

ALARM_PLACE = ".alarms"
"""Where the live feed has the states of alarms. No partition has this name."""
TALK_PLACE = ".talks"
"""And those of talks to actors, with their replies: they are large, and change ten times a second."""


def partitions(words: Mapping[str, Struct]) -> dict[str, PartitionState]:
    """The states of all partitions, by name."""
    found = {word.partition: word for word in words.values() if isinstance(word, PartitionState)}
    return dict(sorted(found.items()))


def control_of(words: Mapping[str, Struct], partition: str) -> Control | None:
    """The control lease of a partition, as last reported."""
    word = words.get(subjects.control_key(partition))
    return word if isinstance(word, Control) else None


def gone_since(rows: DeviceRows, partition: str) -> int | None:
    """Since when the partition has no owner; its state is then the last known one. None if it has an owner."""
    return rows.gone_since(subjects.partition_key(partition))


def place_of(key: str, word: Struct | None) -> str:
    """The partition that a key of run control is about; empty: the experiment as a whole. ALARM_PLACE for an alarm."""
    if key.startswith("alarm."):
        return ALARM_PLACE
    if key.startswith("talk."):
        return TALK_PLACE
    if isinstance(word, SystemState):
        return word.partition
    kind, _, name = key.partition(".")
    if kind == "system":
        return name.partition(".")[2]
    return name if kind in ("partition", "control") else ""
