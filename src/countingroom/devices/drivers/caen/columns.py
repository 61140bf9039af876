"""The 27 process variables of one channel, each with its point, unit, deadband and limits. Pure.

Status words are CAEN's: a bit for on, ramping up, ramping down, and one for each fault (SY4527 manual, channel status).
"""

from __future__ import annotations

from msgspec import Struct

from countingroom.core.points import Point, Type

SWITCH: dict[str, float | int | str | bool] = {"Off": 0, "On": 1}
RANGE: dict[str, float | int | str | bool] = {"Low": 0, "High": 1}
TRIP_MODE: dict[str, float | int | str | bool] = {"Kill": 0, "Ramp": 1}

ON, RAMP_UP, RAMP_DOWN = 1, 3, 5
OVER_CURRENT, TRIPPED = 9, 512

_FAULT_BITS = {
    8: "over-current",
    16: "over-voltage",
    32: "under-voltage",
    64: "external trip",
    128: "at the maximum voltage",
    256: "external disable",
    512: "internal trip",
    1024: "calibration error",
    2048: "unplugged",
    8192: "over-voltage protection",
    16384: "power failure",
    32768: "temperature error",
}
CODES = {
    "0": "off",
    "1": "on",
    "3": "ramping up",
    "5": "ramping down",
    "9": "on, over-current",
    **{str(bit): text for bit, text in _FAULT_BITS.items()},
}


def status_text(status: int) -> str:
    """A status word in words: `on, over-current`."""
    if text := CODES.get(str(status)):
        return text
    motion = {2: "ramping up", 4: "ramping down"}.get(status & 6)
    parts = [motion or ("on" if status & 1 else "off")]
    parts += [text for bit, text in _FAULT_BITS.items() if status & bit]
    return ", ".join(parts)


class Column(Struct, frozen=True, kw_only=True):
    """One variable of one side (`lv`, `hv`) of a channel."""

    variable: str
    """Last part of the process variable: `V0Set`."""
    name: str
    """Column after the side: `setV`."""
    label: str
    type: Type = Type.FLOAT
    unit: str = ""
    precision: int = 2
    deadband: float = 0.0
    words: dict[str, float | int | str | bool] = {}
    codes: dict[str, str] = {}
    high: float | None = None
    """Greatest value that may be written; the least is 0. None and without words: read only."""
    low: float = 0.0
    main: bool = False
    setting: str = ""
    """Its key in the description, where it differs from `name`."""
    rate: str = ""


MASK = 65535.0
_STEPS = {"lv_setV": 30, "lv_pw": 40, "hv_setV": 50, "hv_pw": 60}
"""Order of a restored snapshot: protections, other settings, LV, HV; a voltage before its switch."""
PROTECTION_STEP = 10
SETTING_STEP = 20
PROTECTIONS = frozenset({"maxI", "tripTime", "tripInt", "tripExt", "tripMode", "unVthr", "ovVthr"})
"""Settings that protect the module behind a channel; writing them is dangerous."""

LV = (
    Column(variable="Pw", name="pw", label="LV switch", type=Type.INT, words=SWITCH),
    Column(variable="Status", name="status", label="LV status", type=Type.INT, codes=CODES, main=True),
    Column(variable="V0Set", name="setV", label="LV V set", unit="V", precision=2, deadband=0.01, high=15.0, main=True),
    Column(variable="VMon", name="vMon", label="LV V", unit="V", precision=3, deadband=0.01, main=True),
    Column(variable="IMon", name="iMon", label="LV I", unit="A", precision=3, deadband=0.01, main=True),
    Column(variable="I0Set", name="maxI", label="LV I max", unit="A", precision=2, deadband=0.01, high=5.0),
    Column(variable="Trip", name="tripTime", label="LV trip time", unit="s", precision=1, high=1000.0),
    Column(variable="TripInt", name="tripInt", label="LV internal trip", type=Type.INT, high=MASK),
    Column(variable="TripExt", name="tripExt", label="LV external trip", type=Type.INT, high=MASK),
    Column(variable="UNVThr", name="unVthr", label="LV under V", unit="V", high=20.0, setting="unVThr"),
    Column(variable="OVVThr", name="ovVthr", label="LV over V", unit="V", high=20.0, setting="ovVThr"),
    Column(variable="RUpTime", name="rampUpTime", label="LV ramp up", unit="ms", precision=0, high=10_000.0),
    Column(variable="RDwTime", name="rampDwnTime", label="LV ramp down", unit="ms", precision=0, high=10_000.0),
    Column(variable="Temp", name="temp", label="LV temperature", unit="degC", precision=1, deadband=2.0, main=True),
)

HV = (
    Column(variable="Pw", name="pw", label="HV switch", type=Type.INT, words=SWITCH),
    Column(variable="Status", name="status", label="HV status", type=Type.INT, codes=CODES, main=True),
    Column(
        variable="V0Set",
        name="setV",
        label="HV V set",
        unit="V",
        precision=1,
        deadband=0.01,
        high=800.0,
        main=True,
        rate="rampUpSpeed",
    ),
    Column(variable="VMon", name="vMon", label="HV V", unit="V", precision=2, deadband=0.01, main=True),
    Column(variable="IMon", name="iMon", label="HV I", unit="uA", precision=3, main=True),
    Column(variable="I0Set", name="maxI", label="HV I max", unit="uA", precision=1, high=3500.0),
    Column(variable="RUp", name="rampUpSpeed", label="HV ramp up", unit="V/s", precision=1, low=1.0, high=500.0),
    Column(variable="RDWn", name="rampDwnSpeed", label="HV ramp down", unit="V/s", precision=1, low=1.0, high=500.0),
    Column(variable="Trip", name="tripTime", label="HV trip time", unit="s", precision=1, high=1000.0),
    Column(variable="TripInt", name="tripInt", label="HV internal trip", type=Type.INT, high=MASK),
    Column(variable="TripExt", name="tripExt", label="HV external trip", type=Type.INT, high=MASK),
    Column(variable="PDwn", name="tripMode", label="HV trip mode", type=Type.INT, words=TRIP_MODE),
    Column(variable="ImRange", name="imRange", label="HV I range", type=Type.INT, words=RANGE),
)

HV_CURRENT_DEADBAND = {"Low": 0.001, "High": 0.01}
"""uA, by the range of the current meter."""

SIDES = (("lv", LV), ("hv", HV))


def point(channel: str, side: str, column: Column, *, im_range: str) -> Point:
    """The point of one column of one channel; `im_range` is the range its HV current meter is described to have."""
    deadband = column.deadband
    if side == "hv" and column.name in {"iMon", "maxI"}:
        deadband = HV_CURRENT_DEADBAND[im_range]
    writable = column.high is not None or bool(column.words)
    return Point(
        name=f"{channel}.{side}_{column.name}",
        channel=channel,
        column=f"{side}_{column.name}",
        label=column.label,
        type=column.type,
        unit=column.unit,
        precision=column.precision,
        deadband=deadband,
        choices=tuple(column.words.values()),
        codes=column.codes or {str(value): word for word, value in column.words.items()},
        main=column.main,
        writable=writable,
        write_low=column.low if column.high is not None else None,
        write_high=column.high,
        dangerous=column.name in PROTECTIONS,
        tolerance=0.005 if column.high is not None and column.type is Type.FLOAT else 0.0,
        rate=f"{channel}.{side}_{column.rate}" if column.rate else "",
        commands={"0": f"{side}_off", "1": f"{side}_on"} if column.name == "pw" else {},
        restore_step=_STEPS.get(
            f"{side}_{column.name}", PROTECTION_STEP if column.name in PROTECTIONS else SETTING_STEP
        ),
    )
