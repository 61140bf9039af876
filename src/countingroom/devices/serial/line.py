"""Serial lines with requests and answers that end in a terminator. One request is under way on a port at a time.

The address is a serial port, a pseudo terminal or `socket://host:port`. All `SerialLine`s of one address share one
port of `SerialPorts`, and their requests queue for it. A late, doubled or unasked answer is never taken for the answer
to the next request for longer than one sequence: `shared_port.py` tells how the line is brought back into step.
"""

from __future__ import annotations

from countingroom.core.clock import Clock, SystemClock
from countingroom.core.errors import ConfigurationError
from countingroom.devices.serial.settings import Settings
from countingroom.devices.serial.shared_port import SharedPort

__all__ = ["SerialLine", "SerialPorts", "Settings"]


class SerialPorts:
    """The serial ports of one device host, by address. Get it by `resources.get(SerialPorts)`."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        # A port stays here after its last user has closed it: the device may still answer what it was asked before,
        # so the list of pending answers must outlive the open file.
        self._ports: dict[str, SharedPort] = {}

    def line(self, settings: Settings) -> SerialLine:
        """A new user of the port at this address; ConfigurationError where another user set it up differently."""
        port = self._ports.get(settings.address)
        if port is None:
            port = SharedPort(settings, self._clock)
            self._ports[settings.address] = port
        elif port.settings != settings:
            raise ConfigurationError(
                f"{settings.address} is in use with other settings",
                source=settings.address,
                suggestion="give every device on one line the same line settings",
            )
        return SerialLine(port)

    async def close(self) -> None:
        """Close every port."""
        for port in self._ports.values():
            await port.close()
        self._ports.clear()


class SerialLine:
    """One user's access to a port; made by `SerialPorts.line`."""

    def __init__(self, port: SharedPort) -> None:
        self._port = port

    async def open(self, timeout_s: float) -> None:
        """Open the port, or join its other users; LinkError where it cannot be opened."""
        await self._port.open(self, timeout_s)

    async def query(self, request: bytes, *, timeout_s: float, quiet_s: float = 0.0) -> bytes:
        """The answer to a request; LinkError when there is none in time. After that the line stays quiet for
        `quiet_s`."""
        return await self._port.query(self, request, timeout_s, quiet_s)

    async def ask(self, request: bytes, *, timeout_s: float, quiet_s: float = 0.0, is_proven: bool = True) -> bytes:
        """The answer to a question that may be asked twice, because a lost answer is asked for again.

        LinkError when the line is silent. DeviceError with the code `unanswered` when the device answers a probe, but
        not this question. A question that has not been answered before (`is_proven` False) waits only ten times the
        longest answer of the line, where that is less than `timeout_s`.
        """
        return await self._port.ask(self, request, timeout_s, quiet_s, is_proven)

    async def send(self, request: bytes, *, quiet_s: float = 0.0) -> None:
        """Send a request that the device does not answer. After it the line stays quiet for `quiet_s`."""
        await self._port.send(self, request, quiet_s)

    @property
    def disturbances(self) -> int:
        """Counts the answers without a request, and the doubts of its users. Where the number differs before and after
        a sequence of questions, their answers can be those of other questions."""
        return self._port.disturbances

    def doubt(self) -> None:
        """An answer cannot be true. The line is brought back into step before the next question."""
        self._port.doubt()

    async def close(self) -> None:
        """Leave the port; its last user closes it."""
        await self._port.leave(self)
