"""The restarts by power that an ended keeper left while a node was without power: they are ended by the next keeper."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from countingroom.core.errors import Cause, CountingRoomError, LinkError
from countingroom.core.fleet.record import FleetRecord, PowerCut
from countingroom.core.fleet.specs import WantedNode
from countingroom.core.fleet.states import NodeReboot
from countingroom.fleet.keeper import Keeper
from countingroom.fleet.keeper_states import Tell
from countingroom.fleet.reboot import Reboots, Remember


def remember_in(keeper: Keeper) -> Remember:
    """Keep them in what the keeper remembers."""

    async def remember(node: str, cut: PowerCut | None) -> None:
        def changed(record: FleetRecord) -> FleetRecord:
            cuts = {name: one for name, one in record.power_cuts.items() if name != node}
            return msgspec.structs.replace(record, power_cuts={**cuts, node: cut} if cut else cuts)

        await keeper.change(changed)

    return remember


def show_in(keeper: Keeper, node: str) -> Callable[[NodeReboot], None]:
    """Show the steps of a restart in the state of its node."""

    def show(reboot: NodeReboot) -> None:
        keeper.node(node).reboot = reboot
        keeper.publish()

    return show


async def finish_power_cuts(keeper: Keeper, reboots: Reboots, tell: Tell) -> None:
    """Switch on what an ended keeper has switched off, as soon as what is remembered has been read. Each is told."""
    while True:
        try:
            await keeper.ready()
        except LinkError:
            continue
        break
    async with asyncio.TaskGroup() as group:
        for name, cut in keeper.record.power_cuts.items():
            node = keeper.wanted_nodes.get(name)
            if node is None:
                _tell_forgotten(tell, name, cut)
                await remember_in(keeper)(name, None)
            else:
                group.create_task(_finish(keeper, reboots, tell, node, cut))


async def _finish(keeper: Keeper, reboots: Reboots, tell: Tell, node: WantedNode, cut: PowerCut) -> None:
    try:
        done = await reboots.finish(node, cut, show_in(keeper, node.name))
    except CountingRoomError as error:
        tell(node.name, error.cause.message, error.cause)
    else:
        tell(node.name, f"{done}; the keeper before ended while it was off", None)


def _tell_forgotten(tell: Tell, name: str, cut: PowerCut) -> None:
    text = f"{name} may be without power: a restart by {cut.by} did not end, and it is not described any more"
    cause = Cause(
        code="not_switched_on",
        message=text,
        source=f"fleet.nodes.{name}",
        suggestion="switch it on by hand if it is off",
    )
    tell(name, text, cause)
