"""Finds the answer to one request in what an RTU line brings: its echo, noise, and frames of others. Pure.

A frame says neither where it begins nor what it answers. RS-485 adapters repeat what is sent, or add a byte when they
switch, so the answer is looked for at every place; its check sum proves it.
"""

from __future__ import annotations

from countingroom.core.errors import DeviceError
from countingroom.devices.drivers.modbus import pdu

_MOST_BYTES = 4096
_SHORTEST = 5


class RtuAnswer:
    """What came since the request, until the answer is in it."""

    def __init__(self, unit: int, request: bytes, *, is_echoed: bool = False) -> None:
        """`is_echoed`: the line is known to repeat requests, so the first copy is no answer."""
        self._unit = unit
        self._request = request
        self._sent = pdu.rtu_frame(unit, request)
        self._is_read = request[0] in pdu.READ.values()
        self._is_echoed = is_echoed
        self._came = b""

    @property
    def is_echoed(self) -> bool:
        """Whether the line repeats requests, as far as is known. Only a read can tell: the answer to a write may be
        equal to the request."""
        return self._sent in self._came if self._is_read else self._is_echoed

    def feed(self, data: bytes) -> bytes | None:
        """The answer, as soon as it is there; DeviceError where the line only babbles."""
        self._came += data
        if len(self._came) > _MOST_BYTES:
            raise pdu.nonsense(f"more than {_MOST_BYTES} bytes without an answer in them")
        came = self._without_echo()
        for begin in range(len(came) - _SHORTEST + 1):
            if (self._unit and came[begin] != self._unit) or came[begin + 1] & 0x7F != self._request[0]:
                continue
            size = pdu.rtu_size(came[begin:])
            frame = came[begin : begin + (size or 0)]
            if size == len(frame) and not self._refusal(frame):
                return frame[1:-2]
        return None

    @property
    def refusal(self) -> DeviceError | None:
        """Why that which came is no answer; None while it can be the beginning of one."""
        came = self._without_echo()
        try:
            size = pdu.rtu_size(came)
        except DeviceError as error:
            return error
        return None if size is None or len(came) < size else self._refusal(came[:size])

    def _refusal(self, frame: bytes) -> DeviceError | None:
        try:
            unit, answer = pdu.rtu_parts(frame)
            if self._unit and unit != self._unit:
                raise pdu.nonsense(f"an answer of unit {unit} to a request for unit {self._unit}")
            if not answer[0] & 0x80:  # an exception is an answer
                pdu.values_of(self._request, answer)
        except DeviceError as error:
            return error
        return None

    def _without_echo(self) -> bytes:
        """A read is never answered by its own bytes, though those for coils at 768 to 1023 look like one."""
        if not (self._is_read or self._is_echoed):
            return self._came
        before, _, after = self._came.partition(self._sent)
        return before + after
