"""The behaviour of a generic EPICS device: it is INCOMPLETE while some of its process variables do not answer. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from countingroom.core.charts.chart import Chart, Row
from countingroom.core.errors import Cause
from countingroom.core.values import Reading
from countingroom.devices.behaviour import Observation
from countingroom.devices.plain import PlainBehaviour

MOST_NAMED = 8
"""Points that the cause names."""

CHART = Chart(
    name="epics",
    rows=(
        Row("DISCONNECTED", "connect", "CONNECTED"),
        Row("CONNECTED", "disconnect", "DISCONNECTED"),
        Row("CONNECTED", "lose", "INCOMPLETE"),
        Row("INCOMPLETE", "find", "CONNECTED"),
        Row("INCOMPLETE", "disconnect", "DISCONNECTED"),
    ),
    initial="DISCONNECTED",
    safe=("CONNECTED",),
    common={"DISCONNECTED": "no_link", "CONNECTED": "on", "INCOMPLETE": "ready"},
)


class EpicsBehaviour(PlainBehaviour):
    """Behaviour of a device that is a table of process variables.

    `missing`: the points without an answer from their variable, as the driver knows them now. They are not searched for
    in the readings, because this is called for every batch of changes, and a device can have ten thousand points.
    """

    chart = CHART

    def __init__(self, channels: tuple[str, ...] = (), *, missing: Collection[str] = ()) -> None:
        super().__init__(channels)
        self._missing = missing

    def observe_device(self, states: Mapping[str, str], readings: Mapping[str, Reading]) -> Observation:
        if not self._missing:
            return Observation(state="CONNECTED")
        missing = sorted(self._missing)
        rest = len(missing) - MOST_NAMED
        others = f" and {rest} others" if rest > 0 else ""
        return Observation(
            state="INCOMPLETE",
            cause=Cause(
                code="variables_missing",
                message=f"{len(missing)} of {len(readings)} process variables do not answer: "
                f"{', '.join(missing[:MOST_NAMED])}{others}",
                suggestion="compare their names with those of the IOC, and look whether every IOC of the device runs",
            ),
        )
