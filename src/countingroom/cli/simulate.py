"""The command `simulate`: it runs one simulator in a terminal, or causes a fault in a running simulator."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from countingroom.cli.client import DEFAULT_URL, Client, Url
from countingroom.cli.values import arguments
from countingroom.core.errors import CountingRoomError, NotFound, RequestError

if TYPE_CHECKING:
    from countingroom.core.messages import CommandSpec
    from countingroom.core.values import Scalar
    from countingroom.simulators.port import Simulator

app = typer.Typer(no_args_is_help=True, help="Run one simulator, or cause a fault in a running one.")

KINDS = ("caen", "dqm", "epics", "julabo", "marta", "modbus", "secop", "sensors", "snmp", "switchbox", "text")
Like = Annotated[Path | None, typer.Option("--like", help="A description whose device the simulator imitates.")]
Device = Annotated[str, typer.Option("--device", help="Name of the device in the description of --like.")]


def _alone(kind: str) -> None:
    """Make the command that runs this kind of simulator."""

    def command(like: Like = None, device: Device = "") -> None:
        asyncio.run(_run(kind, _parameters(kind, like, device)))

    app.command(kind, help=f"Run a {kind} simulator until Ctrl-C; type a fault and its NAME=VALUE to cause it.")(
        command
    )


for _kind in KINDS:
    _alone(_kind)


@app.command()
def fault(
    device: Annotated[str, typer.Argument(help="A device of an experiment that runs simulated.", show_default=False)],
    name: Annotated[str, typer.Argument(metavar="FAULT", help="drop, restore, freeze …", show_default=False)],
    given: Annotated[list[str] | None, typer.Argument(metavar="[NAME=VALUE]...", help="Its arguments.")] = None,
    url: Url = DEFAULT_URL,
) -> None:
    """Cause a fault in the simulator of a device."""
    from countingroom.app.simulation import KIND_OF_DRIVER
    from countingroom.simulators.run import faults

    with Client(url) as api:
        catalogue = api.get(f"/api/v1/devices/{device}")["catalogue"]
        kind = KIND_OF_DRIVER.get(catalogue["driver"])
        if not catalogue["simulated"] or kind is None:
            raise NotFound(
                f"{device} is not simulated", source="cli", suggestion="start the experiment with --simulate"
            )
        values = arguments(device, faults(kind), name, given or [])
        api.post(f"/api/v1/simulators/{device}/faults/{name}", {"arguments": values})
    typer.echo(f"{device}: {name}")


def _parameters(kind: str, like: Path | None, device: str) -> Mapping[str, Any]:
    if like is None:
        return _usual(kind)
    from countingroom.app.simulation import KIND_OF_DRIVER
    from countingroom.devices.description import DevicesSection
    from countingroom.experiment import load

    devices = load(like).section(DevicesSection)
    if device not in devices.root:
        raise NotFound(
            f"{like} has no device {device!r}", source="--device", suggestion=f"it has {', '.join(devices.root)}"
        )
    known = devices[device].model_dump(mode="json")
    if KIND_OF_DRIVER.get(known["driver"]) != kind:
        raise RequestError(
            f"{device} is of driver {known['driver']}, and a {kind} simulator cannot imitate it",
            source="--device",
            code="wrong_kind",
            suggestion=f"run: countingroom simulate {KIND_OF_DRIVER.get(known['driver'], 'KIND')}",
        )
    return known


def _usual(kind: str) -> Mapping[str, Any]:
    """Default settings of a simulator: a cooling plant has the registers of a real one."""
    if kind != "marta":
        return {}
    from countingroom.devices.drivers.marta.table import REGISTERS

    return {"registers": REGISTERS}


async def _run(kind: str, parameters: Mapping[str, Any]) -> None:
    """Start the simulator, print its address, read faults from the terminal, and stop it."""
    from countingroom.simulators.run import KINDS as FACTORIES

    simulator = FACTORIES[kind](parameters)
    this, loop = asyncio.current_task(), asyncio.get_running_loop()
    if this is not None:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, this.cancel)
    try:
        where = await simulator.start()
        typer.echo(f"{kind}: {', '.join(f'{key} {value}' for key, value in where.items())}")
        typer.echo("\n".join(_fault_line(one) for one in simulator.faults))
        await _take_faults(kind, simulator)
        await asyncio.Future[None]()
    except asyncio.CancelledError:
        typer.echo("stopped")
    finally:
        await simulator.stop()


async def _take_faults(kind: str, simulator: Simulator) -> None:
    """Yield the lines of standard input until it ends."""
    mode = os.fstat(sys.stdin.fileno()).st_mode
    if not (
        sys.stdin.isatty() or stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)
    ):  # a file or no input at all: no user types
        return
    lines = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        words = line.decode(errors="replace").split()
        if not words:
            continue
        try:
            await simulator.fault(words[0], typed_fault(kind, simulator.faults, words[0], words[1:]))
            typer.echo(f"{kind}: {words[0]}")
        except CountingRoomError as error:
            typer.echo(str(error.cause), err=True)


def typed_fault(kind: str, faults: Sequence[CommandSpec], name: str, given: Sequence[str]) -> dict[str, Scalar]:
    """The arguments of a fault, converted and checked against its declaration."""
    from countingroom.core.arguments import checked

    values = arguments(kind, faults, name, given)
    return checked(next(spec for spec in faults if spec.name == name), values)


def _fault_line(spec: CommandSpec) -> str:
    takes = "".join(f" {f'[{one.name}=…]' if one.optional else f'{one.name}=…'}" for one in spec.parameters)
    return f"  {spec.name + takes:<34} {spec.description}"
