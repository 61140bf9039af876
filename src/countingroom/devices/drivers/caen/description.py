"""The section of a CAEN power supply. A channel is one LV output and one HV output, and the module they supply.

The keys `channels`, `global` and `name` are those of the channel files in use at tracker test stands, so such a file is
included unchanged: `<<: !include caen_channels.yml`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field

from countingroom.core.yaml.section import Name, Section
from countingroom.devices.drivers.epics.description import ChannelAccessSection

LOW_RANGE_UA = 350.0
"""The largest current in the range Low of an HV output's meter."""


def _integer(value: Any) -> Any:
    """Bit masks may be quoted: `"0b00010001"`, `"0x11"`."""
    if isinstance(value, str):
        try:
            return int(value, 0)
        except ValueError:
            raise ValueError(f"a bit mask is written 17, 0b10001 or 0x11; got {value!r}") from None
    return value


def _channel_name(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Mask = Annotated[int, BeforeValidator(_integer, json_schema_input_type=int | str), Field(ge=0, le=0xFFFF)]
ChannelName = Annotated[Name, BeforeValidator(_channel_name)]


class LvSettings(Section):
    """Settings of a low-voltage output; a missing key is not written."""

    setV: Annotated[float, Field(ge=0, le=15)] | None = None
    """V"""
    maxI: Annotated[float, Field(ge=0, le=5)] | None = None
    """A"""
    tripTime: Annotated[float, Field(ge=0, le=1000)] | None = None
    """s"""
    tripInt: Mask | None = None
    tripExt: Mask | None = None
    unVThr: Annotated[float, Field(ge=0, le=20)] | None = None
    """V"""
    ovVThr: Annotated[float, Field(ge=0, le=20)] | None = None
    """V"""
    rampUpTime: Annotated[float, Field(ge=0, le=10_000)] | None = None
    """ms"""
    rampDwnTime: Annotated[float, Field(ge=0, le=10_000)] | None = None
    """ms"""


class HvSettings(Section):
    """Settings of a high-voltage output; a missing key is not written."""

    setV: Annotated[float, Field(ge=0, le=800)] | None = None
    """V"""
    maxI: Annotated[float, Field(ge=0, le=3500)] | None = None
    """uA"""
    rampUpSpeed: Annotated[float, Field(gt=0, le=500)] | None = None
    """V/s"""
    rampDwnSpeed: Annotated[float, Field(gt=0, le=500)] | None = None
    """V/s"""
    tripTime: Annotated[float, Field(ge=0, le=1000)] | None = None
    """s"""
    tripInt: Mask | None = None
    tripExt: Mask | None = None
    tripMode: Literal["Kill", "Ramp"] | None = None
    """Off at once when it trips, or down at the usual speed."""
    imRange: Literal["Low", "High"] | None = None
    """Range of the current meter: Low to 350 uA, High to 3.5 mA."""


class LvOutput(LvSettings):
    """A low-voltage output and its own settings."""

    board: Annotated[int, Field(ge=0, le=4)]
    chan: Annotated[int, Field(ge=0, le=7)]


class HvOutput(HvSettings):
    """A high-voltage output and its own settings."""

    board: Annotated[int, Field(ge=12, le=15)]
    chan: Annotated[int, Field(ge=0, le=11)]


class CaenChannel(Section):
    """The two outputs of one module."""

    lv: LvOutput
    hv: HvOutput
    module: str = ""
    """The supplied module. Without one the channel is inactive: monitored, not commanded, ignored in the state."""


class GlobalSettings(Section):
    """Settings of every output without its own."""

    lv: LvSettings = LvSettings()
    hv: HvSettings = HvSettings()


class CaenSection(ChannelAccessSection):
    """A CAEN mainframe behind its EPICS server."""

    model_config = ConfigDict(validate_by_alias=True, validate_by_name=True)

    driver: Literal["caen"]
    name: str = "dcs"
    """The name in the channel file."""
    prefix: Annotated[str, Field(pattern=r"^\S+$")] = "cleanroom"
    """First part of every process variable: `cleanroom:00:003:VMon`."""
    channels: Annotated[dict[ChannelName, CaenChannel], Field(min_length=1)]
    """Number of the channel -> its outputs."""
    everywhere: Annotated[GlobalSettings, Field(alias="global")] = GlobalSettings()
    """Settings of every channel without its own."""

    def problems(self) -> Iterable[tuple[tuple[str | int, ...], str]]:
        """Outputs that two channels use."""
        owners: dict[tuple[int, int], str] = {}
        for name, channel in self.channels.items():
            for side, output in (("lv", channel.lv), ("hv", channel.hv)):
                owner = owners.setdefault((output.board, output.chan), name)
                if owner != name:
                    yield (
                        ("channels", name, side),
                        f"board {output.board} chan {output.chan} is the {side} output of channel {owner} already",
                    )

    def warnings(self) -> Iterable[tuple[tuple[str | int, ...], str]]:
        """Current limits that the range of the meter does not reach. Channel files in use have them."""
        common = self.everywhere.hv
        told = False
        for name, channel in self.channels.items():
            own = channel.hv
            limit = common.maxI if own.maxI is None else own.maxI
            if (own.imRange or common.imRange) != "Low" or limit is None or limit <= LOW_RANGE_UA:
                continue
            message = (
                f"{limit:g} uA is above the {LOW_RANGE_UA:g} uA of `imRange: Low`; give at most {LOW_RANGE_UA:g}, "
                "or `imRange: High`"
            )
            if own.maxI is not None or own.imRange is not None:
                yield ("channels", name, "hv", "imRange" if own.maxI is None else "maxI"), message
            elif not told:
                told = True
                yield ("global", "hv", "maxI"), message
