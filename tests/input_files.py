"""Input files of other systems, in two sets: the project's own, and the published ones of the ECS and of a test stand.

Both have the same shape. The own set is in `tests/data`, so that a clone alone proves as much. The published set lies
beside the checkout where it is at all, and its tests are skipped where it is missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

DATA = Path(__file__).parent / "data"


@dataclass(frozen=True, kw_only=True)
class Tables:
    """A folder of state tables, and what is in it."""

    folder: Path
    detector: str
    clock: str
    """Of a global system that does not record."""
    writer: str
    """Of a global system that records."""
    partition: str
    systems: str
    """The file that gives each system its table."""
    map: str = "map.csv"
    off: str
    """The initial state of every system."""
    steps: tuple[str, ...]
    """The states in which the detector is being configured, in order."""
    ready: str
    spare_section: str
    """The section of `systems` that names a table which is not there."""
    spare: str
    """That table."""

    def path(self, name: str) -> Path:
        """Of one file."""
        return self.folder / name

    @property
    def machines(self) -> list[Path]:
        """Every state table."""
        return [self.path(name) for name in (self.detector, self.partition, self.writer, self.clock)]


OWN = Tables(
    folder=DATA / "run_control",
    detector="camera.csv",
    clock="clock.csv",
    writer="writer.csv",
    partition="partition.csv",
    systems="systems.cfg",
    off="Off",
    steps=("Cooling", "Calibrating"),
    ready="Ready",
    spare_section="SPARE",
    spare="spare.csv",
)


def published(folder: Path) -> Tables:
    """The tables of the ECS in this folder."""
    return Tables(
        folder=folder,
        detector="DetectorStatemachine.csv",
        clock="globalSystemStatemachine.csv",
        writer="globalSystemStatemachine+.csv",
        partition="PCAStatemachine.csv",
        systems="subsystem.cfg",
        off="Unconfigured",
        steps=("Configuring_Step1", "Configuring_Step2"),
        ready="Active",
        spare_section="DETECTOR_B",
        spare="DetectorStatemachine2.csv",
    )


@dataclass(frozen=True, kw_only=True)
class Channels:
    """A file of CAEN channels with settings for all and for some of them."""

    file: Path
    changed: str
    """A channel with a voltage of its own."""
    changed_v: float
    changed_label: str
    plain: str
    """A channel with the settings of all."""
    trip_mask: int


OWN_CHANNELS = Channels(
    file=DATA / "slow_control" / "caen_channels.yaml",
    changed="5",
    changed_v=9.5,
    changed_label="ladder_b",
    plain="7",
    trip_mask=0b00000110,
)


def published_channels(folder: Path) -> Channels:
    """The channel file of a test stand in this folder."""
    return Channels(
        file=folder / "caen_channels.yml",
        changed="0",
        changed_v=13.0,
        changed_label="module_0",
        plain="1",
        trip_mask=0b00010001,
    )
