"""The generic EPICS driver over PVAccess, before a server of p4p that we did not write."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from p4p import nt as normative
from p4p import server
from p4p.server import thread

from countingroom.core.values import Scalar
from countingroom.devices.drivers.epics.build import build
from countingroom.devices.drivers.epics.description import EpicsSection
from countingroom.devices.port import Driver
from countingroom.devices.resources import SharedResources

VALUES: dict[str, Any] = {
    "setpoint": {"pv": "sp", "writable": True, "write_low": -30, "write_high": 30},
    "pump": {"pv": "pump", "type": "int", "words": {"Off": 0, "On": 1}, "writable": True},
    "version": {"pv": "version", "type": "string"},
}


_nt: Any = normative
_server: Any = server
_thread: Any = thread  # p4p has no types


class Taking:
    """Takes every value that is put, and counts them."""

    def __init__(self) -> None:
        self.puts = 0

    def put(self, pv: Any, operation: Any) -> None:
        self.puts += 1
        pv.post(operation.value())
        operation.done()


class PvaHarness:
    needs = ""
    point = "setpoint"
    values: tuple[Scalar, Scalar] = (-12.5, 20.25)
    patience_s = 60.0

    async def start(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self._taking = Taking()
        kinds: dict[str, tuple[Any, Any]] = {
            "lab:sp": (_nt.NTScalar("d", display=True, control=True), 0.0),
            "lab:pump": (_nt.NTEnum(), {"index": 0, "choices": ["Off", "On"]}),
            "lab:version": (_nt.NTScalar("s"), "1.2"),
        }
        self._values = {
            name: _thread.SharedPV(nt=kind, initial=first, handler=self._taking)
            for name, (kind, first) in kinds.items()
        }
        self._server: Any = None
        self.resources = SharedResources()
        await self.restore()

    def driver(self) -> Driver:
        keys = {"driver": "epics", "protocol": "pva", "prefix": "lab:", "values": VALUES, "timeout": 3.0}
        section = EpicsSection.model_validate({**keys, "address_list": [f"127.0.0.1:{self.port}"]})
        return build("lab", section, self.resources).driver

    def written(self) -> int:
        return self._taking.puts

    async def drop(self) -> None:
        if self._server is not None:
            await asyncio.to_thread(self._server.stop)
            self._server = None

    async def restore(self) -> None:
        conf = {
            "EPICS_PVAS_INTF_ADDR_LIST": "127.0.0.1",
            "EPICS_PVAS_SERVER_PORT": str(self.port),
            "EPICS_PVAS_BROADCAST_PORT": str(self.port),
            "EPICS_PVAS_AUTO_BEACON_ADDR_LIST": "NO",
            "EPICS_PVAS_BEACON_ADDR_LIST": "127.0.0.1",
        }
        self._server = _server.Server(providers=[self._values], conf=conf)

    async def stop(self) -> None:
        await self.drop()
        await self.resources.close()
        for value in self._values.values():
            value.close(destroy=True, sync=True, timeout=5.0)


def harness() -> PvaHarness:
    return PvaHarness()
