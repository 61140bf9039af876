"""How long it takes to define 100,000 alarms from the catalogues of devices, with an area tree and patterns.

Counted from the loaded description: the text of so many points in YAML takes far longer to parse, but the catalogues
come from the bus.
"""

from __future__ import annotations

import gc
import time

from bench.row import Row
from countingroom.alarms.definitions import Definitions
from countingroom.alarms.description import AlarmsSection
from countingroom.core.alarms.definition import AlarmDefinition
from countingroom.core.messages import Catalogue
from countingroom.core.points import Limits, Point

ROUNDS = 3
DEVICES = 100
CHANNELS = 100
COLUMNS = ("lv_vMon", "lv_iMon", "lv_temp", "hv_vMon", "hv_iMon", "hv_imRange", "t0", "t1", "humidity", "flow")
LIMITS = Limits(alarm_low=-1, warning_low=0, warning_high=9, alarm_high=10)


def run() -> list[Row]:
    """Without and with a section."""
    catalogues = [_catalogue(number) for number in range(DEVICES)]
    count = len(_defined(AlarmsSection(), catalogues))
    rows = [
        (f"{count:,} alarms defined, no section", AlarmsSection()),
        (f"{count:,} alarms defined, 21 areas with patterns, 12 overrides", _section()),
    ]
    return [Row(name=name, value=_best_ms(one, catalogues), unit="ms", goal="<= 1000 ms") for name, one in rows]


def _best_ms(section: AlarmsSection, catalogues: list[Catalogue]) -> float:
    best = float("inf")
    for _ in range(ROUNDS):
        gc.collect()
        begin = time.perf_counter()
        found = _defined(section, catalogues)
        best = min(best, (time.perf_counter() - begin) * 1e3)
        del found
    return best


def _defined(section: AlarmsSection, catalogues: list[Catalogue]) -> dict[str, AlarmDefinition]:
    made = Definitions(section)
    return {one.id: one for catalogue in catalogues for one in made.of_device(catalogue)}


def _catalogue(number: int) -> Catalogue:
    channels = tuple(str(channel) for channel in range(CHANNELS))
    return Catalogue(
        device=f"caen{number}",
        title=f"Mainframe {number}",
        driver="caen",
        group="",
        channels=channels,
        points=tuple(
            Point(name=f"{channel}.{column}", channel=channel, column=column, label=column, limits=LIMITS)
            for channel in channels
            for column in COLUMNS
        ),
    )


def _section() -> AlarmsSection:
    areas = {
        f"row{row}": {
            "devices": f"caen{row}*",
            "areas": {"hv": {"points": f"caen{row}*.*.hv_*", "guidance": {"do": "switch HV off"}}},
        }
        for row in range(10)
    }
    overrides = {f"point.caen{number}.*.lv_iMon": {"on_delay": 2, "priority": 1} for number in range(10)}
    overrides["point.*.humidity"] = {"latching": True}
    overrides["device.caen5.link"] = {"off": True}
    spare = {"channels": ["*.99"], "shift": 1}
    return AlarmsSection.model_validate({"areas": {**areas, "spare": spare}, "overrides": overrides})
