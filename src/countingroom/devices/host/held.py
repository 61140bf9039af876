"""What acting interlocks keep in force on a device: it is compared with each command that is given. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

from countingroom.core.errors import Cause, Refused
from countingroom.core.interlocks.hold import AskedCommand, HeldCommand, refusal
from countingroom.core.messages import CommandSpec
from countingroom.core.values import Reading
from countingroom.devices.behaviour import Behaviour, Write


def check_held(
    command: str,
    channel: str,
    done_in: tuple[str, ...],
    writes: Sequence[Write],
    behaviour: Behaviour,
    held: tuple[HeldCommand, ...],
) -> None:
    """Refused (`interlock`) where the command would undo what an acting interlock keeps in force."""
    if held and (cause := refusal(_asked(command, channel, done_in, writes, behaviour), held)):
        raise Refused(cause)


def held_back(
    spec: CommandSpec,
    channel: str,
    behaviour: Behaviour,
    readings: Mapping[str, Reading],
    held: tuple[HeldCommand, ...],
    source: str,
) -> Cause | None:
    """Why an acting interlock holds a command back, for its button. A command with parameters is looked at when it is
    given, because its values decide."""
    writes: Sequence[Write] = ()
    if not spec.parameters:
        with suppress(Exception):  # it is refused for another reason, or a fault of the driver that its use will tell
            writes = behaviour.writes(spec.name, channel, {}, readings)
    return refusal(_asked(spec.name, channel, spec.done_in, writes, behaviour), held, source)


def _asked(
    command: str, channel: str, done_in: tuple[str, ...], writes: Sequence[Write], behaviour: Behaviour
) -> AskedCommand:
    chart = (behaviour.channel_chart if channel else None) or behaviour.chart
    return AskedCommand(
        command=command,
        channel=channel,
        done_in=done_in,
        writes={write.point: write.value for write in writes},
        is_safe=bool(done_in) and set(done_in) <= set(chart.safe),
    )
