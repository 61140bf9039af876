"""The checks before a program starts: its parameters, and the devices and partitions that it needs."""

from __future__ import annotations

from countingroom.bus.port import Bus
from countingroom.core import subjects
from countingroom.core.errors import Conflict, OutOfRange
from countingroom.core.messages import DeviceState, Link, Malformed, decode, decode_json
from countingroom.core.partitions import PartitionState
from countingroom.core.values import Scalar
from countingroom.results.description import ResultProgram


def parameters(name: str, section: ResultProgram, given: str) -> dict[str, Scalar]:
    """The parameters of a start; OutOfRange for one that the description does not name."""
    try:
        told = decode_json(given, dict[str, Scalar]) if given else {}
    except Malformed as error:
        raise OutOfRange(
            f"parameters is a JSON object of numbers and texts: {error}",
            code="wrong_argument",
            suggestion='give {"steps": 20}',
        ) from error
    if unknown := sorted(told.keys() - section.parameters.keys()):
        known = ", ".join(section.parameters) or "none"
        raise OutOfRange(
            f"{name} has no parameter {unknown[0]}", code="unknown_argument", suggestion=f"it has: {known}"
        )
    return {**section.parameters, **told}


async def check_needs(name: str, section: ResultProgram, bus: Bus) -> None:
    """Conflict where a device that it needs is not connected, or a partition records that must not, or is not known."""
    for device in section.devices:
        entry = await bus.get(subjects.STATE_BUCKET, subjects.device_key(device))
        state = decode(entry.data, DeviceState) if entry and entry.data else None
        if state is None or state.link is not Link.CONNECTED:
            raise Conflict(
                f"{name} needs {device}, which is not connected",
                source=f"devices.{device}",
                code="not_connected",
                suggestion=f"connect {device} first",
            )
    for partition in section.partitions:
        entry = await bus.get(subjects.STATE_BUCKET, subjects.partition_key(partition))
        if entry is None or not entry.data:  # a wrong name must not let it run beside data taking
            raise Conflict(
                f"{name} must not run while {partition} records, and no partition {partition} is known",
                source=f"runs.{partition}",
                code="unknown_partition",
                suggestion=f"correct `partitions` of {name} in the description, or start run control",
            )
        state = decode(entry.data, PartitionState)
        if state.run:
            raise Conflict(
                f"{partition} records run {state.run}, and {name} must not run meanwhile",
                source=f"runs.{partition}",
                code="records",
                suggestion=f"stop the run of {partition} first",
            )
