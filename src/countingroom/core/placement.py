"""The layout of the experiment as it is stored: its partitions, and the partition of each detector.

A detector is in exactly one partition or in none.
"""

from __future__ import annotations

from msgspec import Struct

from countingroom.core.configurations import ConfigurationRevision, ConfigurationSet
from countingroom.core.values import Scalar

UNMAPPED = ""
"""The place of a detector that is in no partition."""


class Detector(Struct, frozen=True, kw_only=True):
    """A detector and its partition."""

    name: str
    partition: str = UNMAPPED
    type: str = ""
    """The type, from the description, whose state machine it has."""
    created_by: str
    created_ns: int


class PartitionRecord(Struct, frozen=True, kw_only=True):
    """A partition as it is stored: the operators' settings, not its present state."""

    name: str
    title: str = ""
    template: str
    created_by: str
    created_ns: int
    locked: bool = False
    tag: str = ""
    """The selected global tag; `custom` when configurations were selected for single systems; empty: none."""
    detectors: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()


class Wanted(Struct, frozen=True, kw_only=True):
    """The configurations that are selected for the systems of a partition."""

    tag: str = ""
    systems: dict[str, ConfigurationRevision] = {}
    """System -> the present revision of the selected configuration."""


class SeedPartition(Struct, frozen=True, kw_only=True):
    """A partition that is created in an empty database."""

    name: str
    template: str
    title: str = ""
    tag: str = ""
    """The selected global tag; empty: none."""
    systems: dict[str, str] = {}
    """System -> tag of its configuration, when a tag is selected."""


class Renames(Struct, frozen=True, kw_only=True):
    """New name -> old name, of what the description renamed."""

    systems: dict[str, str] = {}
    configurations: dict[str, dict[str, str]] = {}
    """System -> new tag -> old tag."""
    tags: dict[str, str] = {}
    partitions: dict[str, str] = {}


class Seed(Struct, frozen=True, kw_only=True):
    """The content that an empty database gets."""

    configurations: ConfigurationSet = ConfigurationSet()
    partitions: tuple[SeedPartition, ...] = ()
    detectors: dict[str, str] = {}
    """Name -> partition, or empty."""
    renames: Renames = Renames()
    """What an existing database has under an older name."""


class LayoutChange(Struct, frozen=True, kw_only=True):
    """One change of the layout, for the log of changes."""

    sequence: int = 0
    time_ns: int
    who: str
    what: str
    """`create_partition`, `delete_partition`, `create_detector`, `delete_detector`, `move`, `select`, `include`,
    `exclude`, `lock`, `unlock`; of an applied description `rename_partition`, `change_partition`, `rename_detector`."""
    partition: str = ""
    """The partition that was changed; for a move, the new partition of the detector."""
    system: str = ""
    detail: dict[str, Scalar] = {}
    """For a move or a rename: `from`. For a selection: `tag` and the configuration of each system."""
