"""What the adapter knows of the devices behind its topics, taken from their sections when it starts. Pure."""

from __future__ import annotations

from msgspec import Struct


class CaenRow(Struct, frozen=True, kw_only=True):
    """A channel of the supply, as the topics show it."""

    id: str
    """Its number in topics and payloads."""
    channel: str
    """Its name in the device."""
    module: str = ""
    lv_board: int
    lv_channel: int
    hv_board: int
    hv_channel: int


class CaenFacts(Struct, frozen=True, kw_only=True):
    """The supply behind `dcs/`."""

    device: str
    rows: tuple[CaenRow, ...]
    untouched: float | None = 5.0
    """V; what a field sends that nobody has touched."""


class MartaFacts(Struct, frozen=True, kw_only=True):
    """The plant behind `MARTA/`."""

    device: str
    fields: dict[str, float]
    """Register -> its deadband, for all that `MARTA/status` carries."""
    alarms: dict[str, str]
    """Alarm bit -> its text, the most severe first."""


class TrackerFacts(Struct, frozen=True, kw_only=True):
    """Everything behind the topics."""

    caen: CaenFacts | None = None
    chiller: str = ""
    """The device behind `julabo/`."""
    marta: MartaFacts | None = None
    switchbox: str = ""
    """The device behind `SB/`."""
    sensors: dict[str, str] = {}
    """Point, `<device>.<point>` -> topic."""

    @property
    def devices(self) -> frozenset[str]:
        """All devices behind any topic."""
        named = [
            self.caen.device if self.caen else "",
            self.chiller,
            self.marta.device if self.marta else "",
            self.switchbox,
        ]
        return frozenset(filter(None, [*named, *(address.partition(".")[0] for address in self.sensors)]))
