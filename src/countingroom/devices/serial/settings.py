"""The parameters of a serial line."""

from __future__ import annotations

from msgspec import Struct

from countingroom.devices.serial.pending_answers import Probe


class Settings(Struct, frozen=True, kw_only=True):
    """Parameters of a line. A socket uses only `address`, `terminator` and `probes`."""

    address: str
    """`/dev/ttyUSB0`, a pseudo terminal, or `socket://host:port`."""
    baudrate: int = 9600
    bits: int = 8
    parity: str = "N"
    stop_bits: float = 1
    rtscts: bool = False
    terminator: bytes = b"\n"
    """The end of an answer; it is removed. Empty: CR, LF or both. The end of a request is part of the request."""
    ignores_echo: bool = False
    """A line that is equal to a request is the echo of it, and no answer."""
    probes: tuple[Probe, ...] = ()
    """Requests that bring the line back into step. Without any, the line waits for silence."""
