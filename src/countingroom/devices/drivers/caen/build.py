"""Makes a device from a `driver: caen` section: 27 process variables for each channel, and one that clears alarms."""

from __future__ import annotations

from msgspec.structs import replace

from countingroom.core.points import Point, Type
from countingroom.devices.drivers.caen.behaviour import CaenBehaviour
from countingroom.devices.drivers.caen.columns import SIDES, point
from countingroom.devices.drivers.caen.description import CaenSection
from countingroom.devices.drivers.caen.setpoint_rules import CLEAR_ALARM
from countingroom.devices.drivers.epics.access import ChannelAccess
from countingroom.devices.drivers.epics.build import location
from countingroom.devices.drivers.epics.convert import Variable
from countingroom.devices.drivers.epics.description import STALE_AFTER_S
from countingroom.devices.drivers.epics.driver import EpicsDriver
from countingroom.devices.registry import Hosted
from countingroom.devices.resources import SharedResources


def variables(section: CaenSection) -> list[Variable]:
    """`cleanroom:00:003:VMon` and all the others, as points."""
    clear = Point(
        name=CLEAR_ALARM,
        column=CLEAR_ALARM,
        label="Clear alarms",
        type=Type.STRING,
        writable=True,
        stale_after_s=STALE_AFTER_S,
        main=False,
        momentary=True,
    )
    found = [Variable(pv=f"{section.prefix}:ClearAlarm", point=clear)]
    for name, channel in section.channels.items():
        im_range = channel.hv.imRange or section.everywhere.hv.imRange or "Low"
        outputs = {"lv": channel.lv, "hv": channel.hv}
        for side, columns in SIDES:
            output = outputs[side]
            found += [
                Variable(
                    pv=f"{section.prefix}:{output.board:02}:{output.chan:03}:{column.variable}",
                    point=replace(point(name, side, column, im_range=im_range), stale_after_s=STALE_AFTER_S),
                    words=column.words,
                )
                for column in columns
            ]
    return found


def build(name: str, section: CaenSection, resources: SharedResources) -> Hosted:
    """The mainframe."""
    return Hosted(
        name=name,
        title=section.title or name,
        group=section.group or "Power supplies",
        location=location(section),
        driver=EpicsDriver(variables(section), section, resources.get(ChannelAccess), source=f"devices.{name}"),
        behaviour=CaenBehaviour(section),
        section=section,
        channel_labels={number: channel.module for number, channel in section.channels.items() if channel.module},
    )
