"""Keys that an area, a custom alarm and an override have alike; what is not given is inherited from the area above."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from countingroom.core.alarms.conditions.specs import MOST_COUNTED
from countingroom.core.alarms.states import HIGHEST_PRIORITY, LOWEST_PRIORITY
from countingroom.core.yaml.section import Seconds, Section

Problem = tuple[tuple[str | int, ...], str]
Rank = Annotated[int, Field(ge=HIGHEST_PRIORITY, le=LOWEST_PRIORITY)]
"""1 high, 2 medium, 3 low, 4 for information."""
_ADDRESSES = ("https://", "http://", "mailto:", "tel:", "/")


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _address(value: str) -> str:
    if not value.startswith(_ADDRESSES) or value.startswith("//"):
        raise ValueError(f"an address begins with {', '.join(_ADDRESSES)}; got {value!r}")
    return value


Texts = Annotated[list[str], BeforeValidator(_as_list, json_schema_input_type=str | list[str])]
"""One text, or a list of texts."""
Address = Annotated[str, AfterValidator(_address)]
"""Of a page: `https://…`, or `/trends?…` of the console itself."""


class GuidanceSection(Section):
    """What a person must know to act on an alarm. Each key that is not given is inherited."""

    meaning: str = ""
    """What the alarm means."""
    do: Texts = []
    """What to do, one step in each text."""
    time_to_act: Annotated[Seconds, Field(gt=0)] | None = None
    """How long there is to do it."""
    if_not: str = ""
    """What happens if nothing is done."""


class PrioritiesSection(Section):
    """The priority of each kind of alarm: 1 high, 2 medium, 3 low, 4 for information."""

    alarm: Rank | None = None
    """A value beyond `alarm_low` or `alarm_high`; 2 where it is not changed."""
    warning: Rank | None = None
    """A value beyond `warning_low` or `warning_high`; 3 where it is not changed."""
    fault: Rank | None = None
    """A fault flag, or an alarm that the device gives; that of the device where it is not changed."""
    error: Rank | None = None
    """A device or channel in an error state; 1 where it is not changed."""
    link: Rank | None = None
    """A device that is not reached; 2 where it is not changed."""
    value: Rank | None = None
    """A point without a usable value; 3 where it is not changed."""
    run_control: Rank | None = None
    """A partition or one of its members; 1 to 3 where it is not changed."""
    role: Rank | None = None
    """A process of the control system; 2 where it is not changed."""
    backup: Rank | None = None
    """A scheduled backup: 3 for one that failed, 2 where two are missing, where it is not changed."""
    fleet: Rank | None = None
    """A node or a service of the fleet, or its keeper; 1 to 3 where it is not changed."""
    mirror: Rank | None = None
    """A canary that would have left by the mirror; 1 where it is not changed."""


class InheritedKeys(Section):
    """What an alarm inherits from its area, and an area from the one above."""

    priority: Rank | PrioritiesSection | None = None
    """One number for all, or one for each kind of alarm."""
    shift: Annotated[int, Field(ge=-3, le=3)] | None = None
    """Added to the priorities that `priority` does not give: -1 is more urgent, 1 less urgent."""
    guidance: GuidanceSection = GuidanceSection()
    """What it means and what to do."""
    contact: str = ""
    """The person or service to call."""
    links: dict[str, Address] = {}
    """Title -> address of a page that helps. Those of the area above are added."""

    def problems(self) -> list[Problem]:
        """A warning that is more urgent than its alarm."""
        given = self.priority
        if isinstance(given, PrioritiesSection) and given.alarm and given.warning and given.warning < given.alarm:
            message = f"a warning of priority {given.warning} is more urgent than its alarm of priority {given.alarm}"
            return [(("priority", "warning"), message)]
        return []


class CountSection(Section):
    """The condition must be true in some of the last readings."""

    n: Annotated[int, Field(ge=1, le=MOST_COUNTED)]
    """So many must be beyond."""
    of: Annotated[int, Field(ge=1, le=MOST_COUNTED)]
    """Of so many of the last readings."""

    def problems(self) -> list[Problem]:
        """More than there are."""
        return [(("n",), f"{self.n} of the last {self.of} readings cannot be")] if self.n > self.of else []


class BehaviourKeys(InheritedKeys):
    """How one alarm behaves."""

    title: str = ""
    """Its source for people; made from device and point where empty."""
    area: str | None = None
    """Path of its area: `cooling/chiller`."""
    latching: bool | None = None
    """It stays after its return until a person resets it."""
    on_delay: Annotated[Seconds, Field(ge=0)] | None = None
    """Its condition must be true for so long."""
    off_delay: Annotated[Seconds, Field(ge=0)] | None = None
    """Its condition must be clear for so long."""
    hysteresis: Annotated[float, Field(ge=0)] | None = None
    """So far, in the unit of the point, must the value come back from its limit."""
    count: CountSection | None = None
    """How many of the last readings must be beyond."""
