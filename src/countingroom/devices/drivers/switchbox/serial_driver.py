"""The driver of a switchbox on a serial line: one question, `STATUS?`, and commands that the next status confirms.

A status is complete and each answer looks like the next, so a late or doubled one is only a little older. It is
dropped in the silence after an answer, or before the next question. An answer that cannot be read is asked for again;
after half a line the next line is whole.
"""

from __future__ import annotations

from collections.abc import Sequence

from countingroom.core.points import Point
from countingroom.devices.drivers.switchbox import codec
from countingroom.devices.drivers.switchbox.description import SwitchboxSection
from countingroom.devices.port import Sample
from countingroom.devices.serial.line import SerialPorts, Settings
from countingroom.devices.serial.receiver import ANY_LINE_END

_TRIES = 3


class SerialSwitchbox:
    """A switchbox on a serial line."""

    def __init__(
        self, section: SwitchboxSection, ports: SerialPorts, address: str, *, points: tuple[Point, ...]
    ) -> None:
        self.points = points
        self._section = section
        self._line = ports.line(
            Settings(
                address=address,
                baudrate=section.baudrate,
                bits=section.bits,
                parity=section.parity,
                stop_bits=section.stop_bits,
                rtscts=section.rtscts,
                terminator=ANY_LINE_END,
                ignores_echo=True,
            )
        )

    async def connect(self) -> None:
        """Open the line; LinkError where that is not possible."""
        await self._line.open(self._section.timeout)

    async def read(self) -> Sequence[Sample]:
        """Ask for the status; BAD samples with the reason where it cannot be read; LinkError without an answer."""
        found: list[Sample] = []
        for _ in range(_TRIES):
            answer = await self._line.ask(
                _bytes(codec.STATUS), timeout_s=self._section.timeout, quiet_s=self._section.read_gap
            )
            found = codec.samples(answer.decode("utf-8", "backslashreplace").strip())
            if codec.is_readable(found):
                break
            self._line.doubt()
        return found

    async def write(self, point: str, value: float | int | str | bool) -> None:
        """Send a command; OutOfRange for one that the box does not have."""
        await self._line.send(_bytes(codec.request(point, value)), quiet_s=self._section.write_gap)

    async def close(self) -> None:
        """Leave the line."""
        await self._line.close()


def _bytes(text: str) -> bytes:
    return f"{text}\r".encode("ascii")
