"""The kinds of alarms of the fleet: what each means, what to do, and its delays, where the description says nothing."""

from __future__ import annotations

from msgspec import Struct

from countingroom.core.alarms.definition import Guidance
from countingroom.core.fleet.specs import CRASHES_OF_A_LOOP

CHANGING, DISABLED, CORDONED = "fleet.changing", "fleet.disabled", "fleet.set_aside"
"""First parts of the names of suppressions that the fleet brings; the name of the service or node follows."""
_REASONS = {
    CHANGING: "the fleet is changing {} now",
    DISABLED: "{} is disabled",
    CORDONED: "{} is set aside",
}


def fleet_reason(name: str) -> str:
    """Why alarms are suppressed, for people; `name`: of a suppression that the fleet brings."""
    kind, _, of = name.rpartition("/")
    return _REASONS[kind].format(of)


class FleetKind(Struct, frozen=True, kw_only=True):
    """One kind of alarm of the fleet."""

    title: str
    """After the name of the node or service."""
    guidance: Guidance
    on_delay_s: float = 0.0
    off_delay_s: float = 0.0
    suppressed: tuple[str, ...] = ()


KEEPER = FleetKind(
    title="keeper",
    guidance=Guidance(
        meaning="Nothing is done to the fleet: no process keeps it, or what is done cannot be remembered.",
        do=(
            "See whether the role fleet runs, and its log.",
            "See whether the database answers: GET /readyz of the console.",
        ),
        if_not="Services run on, and programs are started again when they end. Nothing is changed or made anew.",
    ),
    on_delay_s=5.0,
)
NODES = {
    "link": FleetKind(
        title="link",
        guidance=Guidance(
            meaning="The node or its engine does not answer. What runs there runs on unseen, if the node is up.",
            do=(
                "See whether the computer answers: ping, its power and network.",
                "See whether its engine runs: systemctl status docker.",
                "If it is being repaired, set it aside: countingroom fleet cordon NODE --reason TEXT.",
            ),
            if_not="Its services cannot be checked, changed or moved.",
        ),
        on_delay_s=10.0,
        suppressed=(CORDONED,),
    ),
    "set_aside": FleetKind(
        title="set aside",
        guidance=Guidance(
            meaning="A node is set aside, and the time that was given for it is over.",
            do=("See whether the role fleet runs and the database answers.", "Then: countingroom fleet uncordon NODE."),
            if_not="Nothing is made or changed on the node.",
        ),
    ),
}
SERVICES = {
    "crash_loop": FleetKind(
        title="crash loop",
        guidance=Guidance(
            meaning=f"An instance ended {CRASHES_OF_A_LOOP} times or more in a row. It is started again after longer "
            "and longer pauses, at most 5 min.",
            do=(
                "Read its last lines: countingroom fleet logs SERVICE@NODE.",
                "If a change brought it: countingroom fleet rollback.",
                "If it is not needed: countingroom fleet disable SERVICE --reason TEXT.",
            ),
            if_not="What the service does on this node is not done.",
        ),
        on_delay_s=2.0,  # so that a change which has begun it suppresses it first
        off_delay_s=60.0,
        suppressed=(CHANGING, DISABLED),
    ),
    "unhealthy": FleetKind(
        title="health",
        guidance=Guidance(
            meaning="An instance is not there, has ended, or does not pass its health check.",
            do=(
                "See the reason beside the instance on the page of the service, and its log.",
                "If it hangs: countingroom fleet restart SERVICE NODE.",
            ),
            if_not="What the service does on this node is not done, and services that depend on it are not made.",
        ),
        on_delay_s=10.0,
        off_delay_s=10.0,
        suppressed=(CHANGING, DISABLED),
    ),
    "change": FleetKind(
        title="change",
        guidance=Guidance(
            meaning="A revision did not work for this service. It was rolled back, or the change was given up.",
            do=(
                "Read the cause, and the log of the instance that failed.",
                "Mend the description, then: countingroom fleet plan, countingroom fleet apply.",
            ),
            if_not="The service stays at the revision before, or at two revisions at once.",
        ),
    ),
    "drift": FleetKind(
        title="drift",
        guidance=Guidance(
            meaning="An instance was changed by hand since it was made.",
            do=(
                "See what differs on the page of the service.",
                "Put it into the description, or put it right: countingroom fleet apply.",
            ),
            if_not="The instance is not what the description says, and the change is lost when it is made again.",
        ),
        on_delay_s=10.0,
        suppressed=(CHANGING, DISABLED),
    ),
    "disabled": FleetKind(
        title="disabled",
        guidance=Guidance(
            meaning="A service is disabled, and the time that was given for it is over.",
            do=(
                "See whether the role fleet runs and the database answers.",
                "Then: countingroom fleet enable SERVICE.",
            ),
            if_not="The service runs nowhere.",
        ),
    ),
}
