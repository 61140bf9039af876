"""Questions to one agent over UDP, one at a time: a question is sent again when no answer comes, a setpoint is not."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterable

from countingroom.core.clock import timeout
from countingroom.core.errors import DeviceError, LinkError
from countingroom.core.snmp.ber import BerError
from countingroom.core.snmp.pdu import REPORT, RESPONSE, SET, Pdu, Varbind, encode_pdu
from countingroom.devices.drivers.snmp.security import Security

_MOST_REPORTS = 3
"""Of the agent, about itself and about its time, before the answer."""
_MOST_ID = (1 << 31) - 1


class SilentAgent(LinkError):
    """The agent did not answer one question. It may answer others."""

    code = "timeout"


class _Receiver(asyncio.DatagramProtocol):
    def __init__(self, on_data: Callable[[bytes], None], on_error: Callable[[Exception], None]) -> None:
        self._on_data = on_data
        self._on_error = on_error

    def datagram_received(self, data: bytes, addr: object) -> None:
        self._on_data(data)

    def error_received(self, exc: Exception) -> None:
        self._on_error(exc)


class SnmpConnection:
    """A socket for one agent, until it is closed."""

    def __init__(self, source: str, security: Security, timeout_s: float, retries: int) -> None:
        self._source = source
        self._security = security
        self._timeout_s = timeout_s
        self._retries = retries
        self._transport: asyncio.DatagramTransport | None = None
        self._next_id = secrets.randbelow(_MOST_ID)
        self._waiting: tuple[int, asyncio.Future[Pdu]] | None = None
        self._odd = ""
        """Why the last message that came is no answer."""

    async def open(self, host: str, port: int) -> None:
        """Find the address; nothing is sent. LinkError where there is none."""
        loop = asyncio.get_running_loop()
        try:
            async with timeout(self._timeout_s):
                self._transport, _ = await loop.create_datagram_endpoint(
                    lambda: _Receiver(self._take, self._fail), remote_addr=(host, port)
                )
        except (OSError, TimeoutError) as error:
            raise LinkError(
                f"the host {host} is not found: {error or 'no answer of the name service in time'}",
                source=self._source,
                suggestion="check the key `host`",
            ) from error

    async def ask(self, kind: int, varbinds: Iterable[Varbind], *, error: int = 0, index: int = 0) -> Pdu:
        """The answer. SilentAgent where none comes, LinkError where the agent cannot be reached or refuses the user."""
        for _ in range(_MOST_REPORTS):
            pdu = Pdu(kind, self._new_id(), tuple(varbinds), error, index)
            try:
                encode_pdu(pdu)
            except BerError as wrong:
                raise DeviceError(
                    f"the value cannot be sent: {wrong}", source=self._source, code="wrong_type"
                ) from wrong
            answer = await self._exchange(pdu)
            if answer.kind != REPORT:
                return answer
            self._security.adopt(answer)
        raise LinkError(
            "the agent goes on to say that its time or its engine id is another one",
            source=self._source,
            suggestion="check whether two agents answer at this address",
        )

    def close(self) -> None:
        """Close the socket. May be called twice."""
        if self._transport is not None:
            self._transport.abort()
            self._transport = None
        self._fail(ConnectionError("the connection was closed"))

    def _new_id(self) -> int:
        self._next_id = self._next_id % _MOST_ID + 1
        return self._next_id

    async def _exchange(self, pdu: Pdu) -> Pdu:
        if self._transport is None:
            raise LinkError("there is no connection to the agent", source=self._source)
        answer: asyncio.Future[Pdu] = asyncio.get_running_loop().create_future()
        self._waiting = pdu.request_id, answer
        self._odd = ""
        tries = 1 if pdu.kind == SET else 1 + self._retries
        try:
            for _ in range(tries):
                self._transport.sendto(self._security.wrapped(pdu))
                try:
                    async with timeout(self._timeout_s):
                        return await asyncio.shield(answer)
                except TimeoutError:
                    continue
        finally:
            self._waiting = None
            if not answer.cancel() and not answer.cancelled():
                answer.exception()  # one that came with the end of the time
        raise SilentAgent(
            f"the agent at {self._source} did not answer within {tries * self._timeout_s:g} s"
            + (f"; what came is no answer: {self._odd}" if self._odd else ""),
            source=self._source,
            suggestion=self._security.silent,
        )

    def _take(self, data: bytes) -> None:
        if self._waiting is None:
            return  # late
        request_id, answer = self._waiting
        try:
            pdu = self._security.opened(data, request_id)
        except BerError as error:
            self._odd = str(error)
            return
        if pdu is not None and pdu.kind not in (RESPONSE, REPORT):
            self._odd = "it is a question"
        elif pdu is not None and not answer.done():
            answer.set_result(pdu)

    def _fail(self, error: Exception) -> None:
        if self._waiting is None or self._waiting[1].done():
            return
        is_refused = isinstance(error, ConnectionRefusedError)
        self._waiting[1].set_exception(
            LinkError(
                f"nothing listens at {self._source}" if is_refused else f"{self._source} is not reached: {error}",
                source=self._source,
                suggestion="check host and port, and that the SNMP agent of the device runs",
            )
        )
