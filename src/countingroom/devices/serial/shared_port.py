"""One serial port with its users: sends one request at a time and gives each its own answer.

Answers carry no number, so a late, lost, doubled or unasked one could shift all that follow. After a timeout, an
unasked answer or a doubt of a user, probes are sent until one is recognised; `pending_answers.py` knows which answers
may still come. Silence ends with a lost link, nonsense with `out_of_step`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from pathlib import Path

import serialx
from msgspec.structs import replace

from countingroom.core.clock import Clock, timeout
from countingroom.core.errors import DeviceError, LinkError
from countingroom.devices.serial.pending_answers import PendingAnswers
from countingroom.devices.serial.receiver import Receiver
from countingroom.devices.serial.settings import Settings
from countingroom.devices.serial.simulated_end import why_not_simulator

_MOST_PROBES = 64
_MOST_STRAYS = 256
_MOST_ROUNDS = 4
"""Of falling in step before one request."""
_PROBES_IN_A_TIMEOUT = 8
"""Probes in one `timeout_s`, where the device answers fast enough: a line that loses every fifth answer is then lost
once in a million requests."""
_PROBES_BEFORE_LOST = 5
"""At least, after an answer since the port was opened."""
_PROBES_AT_FIRST = 2
"""Probes in one `timeout_s` before the first answer: a device that is off should be told soon."""
_ANSWERS_IN_AN_INTERVAL = 2.0
"""The interval between probes, as a multiple of the longest answer."""
_KEPT = 0.8
"""Of the longest answer, at each further answer."""
_CLOSE_DEADLINE_S = 1.0
_ECHOES = 16
_LEAST_UNPROVEN_S = 0.5
_UNPROVEN_FACTOR = 10.0


class _NoAnswer(LinkError):
    """No answer to one request; the device may answer the next."""


class SharedPort:
    """Opened by its first user, closed by its last."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.settings = settings
        self.disturbances = 0
        """Answers without a request, and doubts of users, since the start."""
        self._clock = clock
        self._turn = asyncio.Lock()
        self._users: set[object] = set()
        self._transport: serialx.BaseSerialTransport | None = None
        self._receiver = Receiver()
        self._ready_at = 0.0
        self._pending = PendingAnswers(settings.probes)
        """Kept while the port is closed: the device may still answer an earlier request."""
        self._last_answer: bytes | None = None
        self._sent: deque[bytes] = deque(maxlen=_ECHOES)
        self._longest_answer_s = 0.0

    async def open(self, user: object, timeout_s: float) -> None:
        async with self._turn:
            if self._transport is None or self._receiver.lost:
                await self._drop()
                await self._connect(timeout_s)
                self._last_answer = None
                self._pending.opened(self._clock.monotonic())
            self._users.add(user)

    async def leave(self, user: object) -> None:
        self._users.discard(user)
        if not self._users:
            await self._drop()

    async def close(self) -> None:
        self._users.clear()
        await self._drop()

    def doubt(self) -> None:
        """An answer cannot be true, or was not asked for."""
        self.disturbances += 1
        self._pending.doubt(self._clock.monotonic())

    async def query(self, user: object, request: bytes, timeout_s: float, quiet_s: float) -> bytes:
        async with self._turn:
            try:
                return await self._ask_once(user, request, timeout_s, quiet_s)
            except DeviceError as error:
                raise self._babble() from error

    async def ask(self, user: object, request: bytes, timeout_s: float, quiet_s: float, is_proven: bool) -> bytes:
        async with self._turn:
            with suppress(_NoAnswer):
                return await self._ask_once(user, request, timeout_s, quiet_s, is_proven)
            try:
                return await self._ask_once(user, request, timeout_s, quiet_s, is_proven)
            except _NoAnswer:
                if not self.settings.probes:
                    raise
            await self._fall_in_step(user, request, timeout_s, quiet_s)
            raise DeviceError(
                f"no answer to {request.decode('ascii', 'backslashreplace').strip()}",
                code="unanswered",
                source=self.settings.address,
            )

    async def send(self, user: object, request: bytes, quiet_s: float) -> None:
        async with self._turn:
            await self._wait_for_quiet(user)
            self._write(request, quiet_s)

    async def _ask_once(
        self, user: object, request: bytes, timeout_s: float, quiet_s: float, is_proven: bool = True
    ) -> bytes:
        await self._wait_for_quiet(user)
        for _ in range(_MOST_ROUNDS):
            if self._pending.may_ask(request):
                break
            await self._fall_in_step(user, request, timeout_s, quiet_s)
            await self._wait_for_quiet(user)
        else:
            raise self._out_of_step()
        self._write(request, quiet_s)
        self._pending.asked(request, self._clock.monotonic())
        began = self._clock.monotonic()
        patience_s = timeout_s if is_proven or not self._receiver.has_answered else self._unproven_s(timeout_s)
        for _ in range(_MOST_STRAYS):
            answer = await self._next(patience_s)
            if self._pending.belongs(answer):
                self._last_answer = answer
                now = self._clock.monotonic()
                self._measured(now - began)
                self._ready_at = now + quiet_s
                return answer
        raise self._babble()

    def _unproven_s(self, timeout_s: float) -> float:
        return min(timeout_s, max(_LEAST_UNPROVEN_S, _UNPROVEN_FACTOR * self._longest_answer_s))

    async def _wait_for_quiet(self, user: object) -> None:
        """Wait until the next request may be sent, and judge what arrived since the last answer."""
        await self._clock.sleep(self._ready_at - self._clock.monotonic())
        if user not in self._users or self._transport is None or self._receiver.lost:
            raise LinkError(f"{self.settings.address} is closed", source=self.settings.address)
        # What arrived between two requests must leave the buffer now, or the next request would get it.
        while (line := self._receiver.arrived(self.settings.terminator)) is not None:
            if self._is_echo(line) or not self._pending.only_probes:
                self._pending.stray(line)
            # A line that is equal to the last answer is harmless, whichever of the two is the duplicate.
            elif not self._pending.stray(line) and line != self._last_answer:
                self.doubt()

    def _write(self, request: bytes, quiet_s: float) -> None:
        if self._transport is None:
            raise LinkError(f"{self.settings.address} is closed", source=self.settings.address)
        try:
            self._transport.write(request)
        except (OSError, serialx.SerialException) as error:
            raise LinkError(f"{self.settings.address} was lost: {error}", source=self.settings.address) from error
        self._ready_at = self._clock.monotonic() + quiet_s
        self._sent.append(request.strip())

    async def _next(self, timeout_s: float) -> bytes:
        """The next line that is no echo."""
        try:
            async with timeout(timeout_s):
                while self._is_echo(line := await self._receiver.line(self.settings.terminator)):
                    pass
        except TimeoutError as error:
            raise _NoAnswer(
                f"no answer on {self.settings.address} within {timeout_s:g} s", source=self.settings.address
            ) from error
        return line

    def _is_echo(self, line: bytes) -> bool:
        return self.settings.ignores_echo and line != b"" and line.strip() in self._sent

    async def _fall_in_step(self, user: object, request: bytes, timeout_s: float, quiet_s: float) -> None:
        """Send probes until no earlier answer can be confused with the answer to this request."""
        self._pending.give_up_old(self._clock.monotonic())
        probes = self._pending.probes_for(request)
        if not probes:
            await self._until_silent(timeout_s)
            return
        unrecognised = vain = 0
        vain_s = 0.0
        for turn in range(_MOST_PROBES):
            await self._clock.sleep(self._ready_at - self._clock.monotonic())
            if user not in self._users or self._receiver.lost:
                raise LinkError(f"{self.settings.address} is closed", source=self.settings.address)
            probe = probes[turn % len(probes)]
            self._write(probe.request, quiet_s)
            self._pending.asked(probe.request, self._clock.monotonic())
            interval_s, began = self._interval_s(timeout_s), self._clock.monotonic()
            recognised, odd = await self._listen(request, interval_s, quiet_s)
            if recognised:
                self._measured(vain_s + self._clock.monotonic() - began)
            if self._pending.may_ask(request):
                return
            vain_s, vain = (0.0, 0) if recognised else (vain_s + interval_s, vain + 1)
            unrecognised += odd
            if vain >= self._least_probes() and vain_s >= timeout_s * 0.999:
                break
        if unrecognised > 1:  # one can be the late answer of an earlier request to a line that is silent now
            raise self._out_of_step()
        raise LinkError(f"no answer on {self.settings.address} within {timeout_s:g} s", source=self.settings.address)

    def _least_probes(self) -> int:
        return _PROBES_BEFORE_LOST if self._receiver.has_answered else 1

    def _measured(self, answer_s: float) -> None:
        # It is forgotten by and by, because a lost answer looks like a late one.
        self._longest_answer_s = max(_KEPT * self._longest_answer_s, answer_s)

    def _interval_s(self, timeout_s: float) -> float:
        """The time between two probes. Probes that come faster than the device answers would only make it slower."""
        if not self._receiver.has_answered:
            return max(timeout_s / _PROBES_AT_FIRST, min(timeout_s, _ANSWERS_IN_AN_INTERVAL * self._longest_answer_s))
        return min(timeout_s, max(timeout_s / _PROBES_IN_A_TIMEOUT, _ANSWERS_IN_AN_INTERVAL * self._longest_answer_s))

    async def _listen(self, request: bytes, interval_s: float, quiet_s: float) -> tuple[bool, int]:
        """Attribute what arrives, until the request may be sent or the line was silent for the interval.

        Returns whether a probe was recognised, and how many answers were not.
        """
        recognised, unrecognised = False, 0
        for _ in range(_MOST_STRAYS):
            try:
                answer = await self._next(interval_s)
            except _NoAnswer:
                return recognised, unrecognised
            self._ready_at = self._clock.monotonic() + quiet_s
            if self._pending.stray(answer):
                recognised, self._last_answer = True, answer
                if self._pending.may_ask(request):
                    return recognised, unrecognised
            else:
                unrecognised += 1
        raise self._babble()

    async def _until_silent(self, timeout_s: float) -> None:
        """Without probes silence is the sign that the line is in step: every late answer has arrived or is lost."""
        for _ in range(_MOST_STRAYS):
            try:
                await self._next(timeout_s)
            except _NoAnswer:
                self._pending.answered()
                return
        raise self._babble()

    async def _connect(self, timeout_s: float) -> None:
        receiver, line = Receiver(), _as_the_port_can(self.settings)
        self._check_simulated()
        try:
            async with timeout(timeout_s):
                self._transport, _ = await serialx.create_serial_connection(
                    asyncio.get_running_loop(),
                    lambda: receiver,
                    line.address,
                    line.baudrate,
                    parity=serialx.Parity(line.parity),
                    stopbits=serialx.StopBits(line.stop_bits),
                    rtscts=line.rtscts,
                    byte_size=line.bits,
                )
        except (OSError, ValueError, serialx.SerialException) as error:
            raise LinkError(
                f"cannot open {line.address}: {error or 'no answer'}",
                source=line.address,
                suggestion="check the cable, the address and that no other program has the port open",
            ) from error
        self._receiver = receiver
        try:
            self._check_simulated()  # it may have ended, and its terminal been given away, while the port was opened
        except LinkError:
            await self._drop()
            raise

    def _check_simulated(self) -> None:
        why = why_not_simulator(self.settings.address)
        if why:
            raise LinkError(
                f"cannot open {self.settings.address}: {why}",
                source=self.settings.address,
                suggestion="start the simulator again",
            )

    async def _drop(self) -> None:
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()
            with suppress(OSError, serialx.SerialException):
                async with timeout(_CLOSE_DEADLINE_S):
                    await transport.wait_closed()

    def _babble(self) -> LinkError:
        return LinkError(f"{self.settings.address} sends answers without a request", source=self.settings.address)

    def _out_of_step(self) -> DeviceError:
        return DeviceError(
            f"the answers on {self.settings.address} cannot be attributed to their questions",
            code="out_of_step",
            source=self.settings.address,
            suggestion="check the settings of the line and the cable, and that one program alone uses the line",
        )


def _as_the_port_can(settings: Settings) -> Settings:
    """Settings that a pseudo terminal accepts: 8 bits and no parity. It refuses others when it is opened again."""
    if Path(settings.address).resolve().parent == Path("/dev/pts"):
        return replace(settings, bits=8, parity="N", stop_bits=1, rtscts=False)
    return settings
