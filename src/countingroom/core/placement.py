"""Law: which partitions there are and where each detector is: in exactly one place, a partition or none."""

from __future__ import annotations

from msgspec import Struct

from countingroom.core.configurations import ConfigurationRevision, ConfigurationSet
from countingroom.core.values import Scalar

UNMAPPED = ""
"""The place of a detector that is in no partition."""


class Detector(Struct, frozen=True, kw_only=True):
    """A detector that is known, wherever it is."""

    name: str
    partition: str = UNMAPPED
    type: str = ""
    """Whose chart it has; a word of the description."""
    created_by: str
    created_ns: int


class PartitionRecord(Struct, frozen=True, kw_only=True):
    """A partition as it is kept: what people decided, not what it does."""

    name: str
    title: str = ""
    template: str
    created_by: str
    created_ns: int
    locked: bool = False
    tag: str = ""
    """The global tag selected; `custom` where systems were chosen one by one; empty: none."""
    detectors: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()


class Wanted(Struct, frozen=True, kw_only=True):
    """What a partition's systems are to be configured with."""

    tag: str = ""
    systems: dict[str, ConfigurationRevision] = {}
    """System -> the present revision of what is selected for it."""


class SeedPartition(Struct, frozen=True, kw_only=True):
    """A partition that an empty database begins with."""

    name: str
    template: str
    title: str = ""
    tag: str = ""
    """What is selected; empty: nothing."""
    systems: dict[str, str] = {}
    """System -> tag of its configuration, where a tag is selected."""


class Seed(Struct, frozen=True, kw_only=True):
    """What an empty database begins with."""

    configurations: ConfigurationSet = ConfigurationSet()
    partitions: tuple[SeedPartition, ...] = ()
    detectors: dict[str, str] = {}
    """Name -> partition, or empty."""


class LayoutChange(Struct, frozen=True, kw_only=True):
    """One change of partitions or places."""

    sequence: int = 0
    time_ns: int
    who: str
    what: str
    """`create_partition`, `delete_partition`, `create_detector`, `delete_detector`, `move`, `select`, `include`,
    `exclude`, `lock`, `unlock`."""
    partition: str = ""
    """The one it happened to; of a move, where the detector went."""
    system: str = ""
    detail: dict[str, Scalar] = {}
    """Of a move, `from`; of a selection, `tag` and every system's configuration."""
