"""Health checks of running instances, made from where the keeper runs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

import msgspec
from msgspec import Struct

from countingroom.core.clock import Clock, timeout
from countingroom.core.errors import CountingRoomError, LinkError
from countingroom.core.fleet.observed import Health
from countingroom.core.fleet.specs import HealthCheck, InstanceId
from countingroom.fleet.actors.node_actors import NodeActors
from countingroom.fleet.engines.port import Engine, EngineInstance
from countingroom.fleet.os_words import os_words

Absent = Callable[[InstanceId], str | None]
"""Why a process of countingroom is not on the bus; empty: it is; None: that cannot be told now."""

_log = logging.getLogger(__name__)
_NS = 1_000_000_000
_MOST_UNMADE = 5
"""Checks in a row without an answer of an engine that is reached."""
_MOST_BYTES = 4096


class Checked(Struct, frozen=True, kw_only=True):
    """What the checks of one instance have found since it was started."""

    health: Health = Health.STARTING
    since_ns: int = 0
    failures: int = 0
    """Failed checks in a row."""
    reason: str = ""


def judge(before: Checked, wrong: str, check: HealthCheck, now_ns: int, start_period_until_ns: int) -> Checked:
    """The health after one more check. `wrong`: why it failed; empty: it succeeded. Pure."""
    if not wrong:
        since_ns = before.since_ns if before.health is Health.HEALTHY else now_ns
        return Checked(health=Health.HEALTHY, since_ns=since_ns)
    if before.health is Health.STARTING and now_ns < start_period_until_ns:
        return msgspec.structs.replace(before, reason=wrong)
    failures = before.failures + 1
    if failures < check.failures or before.health is Health.UNHEALTHY:
        return msgspec.structs.replace(before, failures=failures, reason=wrong)
    return Checked(health=Health.UNHEALTHY, since_ns=now_ns, failures=failures, reason=wrong)


class HealthChecks:
    """The checks of all instances of one node. Each runs from the start of an instance to its end."""

    def __init__(
        self,
        clock: Clock,
        engine: Engine,
        address: str,
        changed: asyncio.Event,
        actors: NodeActors,
        absent: Absent = lambda _: "the bus is not followed",
    ) -> None:
        """`address`: the host for tcp and http; empty: that on which an instance runs. `changed`: set where a health
        changed. `absent`: for `presence`."""
        self._absent = absent
        self._clock = clock
        self._engine = engine
        self._address = address
        self._changed = changed
        self._actors = actors
        self._tasks: dict[tuple[InstanceId, int], asyncio.Task[None]] = {}
        self._found: dict[InstanceId, Checked] = {}

    def health(self, one: EngineInstance) -> Checked:
        """The health of an instance that its engine shows."""
        if not one.is_running:
            return Checked(
                health=Health.STARTING if one.waits else Health.EXITED, since_ns=one.since_ns, reason=one.reason
            )
        if not one.spec.health.kind:
            return Checked(health=Health.HEALTHY, since_ns=one.since_ns)
        return self._found.get(one.id) or Checked(since_ns=one.since_ns)

    def follow(self, instances: list[EngineInstance]) -> None:
        """Check these instances from now on, and no others."""
        running = {(one.id, one.since_ns): one for one in instances if one.is_running and one.spec.health.kind}
        for key in self._tasks.keys() - running.keys():
            self._tasks.pop(key).cancel()
            self._found.pop(key[0], None)
        for key in running.keys() - self._tasks.keys():
            self._tasks[key] = asyncio.create_task(self._check(running[key]))

    @property
    def have_answered(self) -> bool:
        """Whether each check was made at least once."""
        return all(id in self._found for id, _ in self._tasks)

    async def close(self) -> None:
        """End all checks."""
        tasks = list(self._tasks.values())
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _check(self, one: EngineInstance) -> None:
        check = one.spec.health
        until_ns = one.since_ns + int(one.spec.start_period_s * _NS)
        present, unmade = Checked(since_ns=one.since_ns), 0
        while True:
            try:
                wrong = await self._ask(one, check)
                unmade = 0
            except LinkError as error:
                # The engine did not answer: its node counts as lost soon, and the instance may work. An engine that
                # answers all but this cannot tell whether it does.
                unmade += 1
                wrong = error.cause.message if unmade > _MOST_UNMADE else None
            except Exception as error:  # a fault must not end the checks
                _log.exception("fleet: the check of %s failed", one.id)
                wrong = f"the check failed by a fault ({type(error).__name__}), see the log"
            now_ns = self._clock.now_ns()
            found = present if wrong is None else judge(present, wrong, check, now_ns, until_ns)
            is_first = one.id not in self._found
            self._found[one.id] = found
            if is_first or (found.health, found.reason) != (present.health, present.reason):
                self._changed.set()
            present = found
            # In the start period it is asked more often, so that a fast service does not wait for a whole interval.
            is_starting = present.health is Health.STARTING
            await self._clock.sleep(min(check.interval_s, 0.5) if is_starting else check.interval_s)

    async def _ask(self, one: EngineInstance, check: HealthCheck) -> str | None:
        """Why the check failed; empty: it succeeded; None: it cannot be told now. LinkError where the engine did not
        answer."""
        if check.kind == "presence":
            return self._absent(one.id)
        try:
            if check.kind == "actor":  # with a deadline of its own
                await self._actors.client(one.id, one.spec.actor).command(check.command[0], check.timeout_s)
                return ""
            async with timeout(check.timeout_s):
                if check.kind == "exec":
                    return await self._execute(one.id, check)
                return await self._connect(self._address or one.host or "127.0.0.1", check)
        except TimeoutError:
            return f"no answer within {check.timeout_s:g} s"
        except CountingRoomError as error:
            if check.kind == "exec" and isinstance(error, LinkError):
                raise
            return error.cause.message
        except OSError as error:
            return f"port {check.port}: {os_words(error)}"

    async def _execute(self, id: InstanceId, check: HealthCheck) -> str:
        status, output = await self._engine.execute(id, check.command, check.timeout_s)
        last = output.strip().rpartition("\n")[2][:200]
        return "" if status == 0 else f"{check.command[0]} ended with {status}" + (f": {last}" if last else "")

    async def _connect(self, host: str, check: HealthCheck) -> str:
        reader, writer = await asyncio.open_connection(host, check.port)
        try:
            if check.kind != "http":
                return ""
            writer.write(f"GET {check.path} HTTP/1.0\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
            return _http_answer(await reader.read(_MOST_BYTES), check.path)
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


def _http_answer(answer: bytes, path: str) -> str:
    """What is wrong with an answer; empty: nothing."""
    head, _, body = answer.partition(b"\r\n\r\n")
    words = head.split(b"\r\n", 1)[0].split(b" ")
    if len(words) < 2 or not words[1].isdigit():
        return f"GET {path} was not answered by HTTP"
    if 200 <= int(words[1]) < 400:
        return ""
    said = body.decode(errors="replace").strip().partition("\n")[0][:200]
    return f"GET {path} said {words[1].decode()}" + (f": {said}" if said else "")
