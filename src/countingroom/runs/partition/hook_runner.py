"""Runs hooks: programs or bus commands at fixed points of a transition, each with a time-out.

Every hook ends in one `HookOver` event, also after a time-out. A program is started without a shell. It is killed with
all its children after its time-out, and when the owner of the partition ends, also by kill -9. Processes that it leaves
running when it ends by itself do not delay the partition.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from pathlib import Path

from countingroom.bus.ask import ask
from countingroom.core import subjects
from countingroom.core.clock import within
from countingroom.core.errors import Cause, ConfigurationError, CountingRoomError
from countingroom.core.messages import Command, Reply
from countingroom.core.times import duration
from countingroom.runs.agents.kinds import program
from countingroom.runs.context import RunControlContext
from countingroom.runs.planner.events import Fact, HookOver, RunHook

MAX_CHARACTERS = 2000
MAX_LINES = 50
"""Limits of the kept output of a program; the last part is kept."""

BUS = "bus"
"""A command whose first word is this is a command on the bus: `[bus, devices, caen, hv_on]`."""


class Hooks:
    """Starts the hooks of one partition."""

    def __init__(self, context: RunControlContext, partition: str, tell: Callable[[Fact], None]) -> None:
        self._bus = context.bus
        self._clock = context.clock
        self._guardian = context.guardian
        self._partition = partition
        self._tell = tell

    def begin(self, group: asyncio.TaskGroup, effect: RunHook) -> None:
        """Start a hook."""
        group.create_task(self._run(effect))

    async def _run(self, effect: RunHook) -> None:
        hook = effect.hook
        placeholders = {
            "partition": self._partition,
            "run": str(effect.run or ""),
            "tag": effect.tag,
            "goal": effect.goal,
        }
        argv = [_filled(part, placeholders) for part in hook.command]
        try:
            async with within(self._clock, hook.deadline_s):
                cause = await (self._ask(argv[1:], effect) if argv[0] == BUS else self._execute(hook.name, argv))
        except TimeoutError:
            cause = self._cause("not_in_time", hook.name, f"{hook.name} did not end within {duration(hook.deadline_s)}")
        except ConfigurationError as error:
            cause = self._cause("not_begun", hook.name, error.cause.message)
        except CountingRoomError as error:
            cause = error.cause
        self._tell(HookOver(hook=hook.name, cause=cause))

    async def _execute(self, name: str, argv: list[str]) -> Cause | None:
        output = deque[str](maxlen=MAX_LINES)
        status = await program.run(
            argv,
            self._clock,
            directory=Path(),
            environment={},
            given=b"",
            said=lambda line: output.append(line[:MAX_CHARACTERS]),
            guardian=self._guardian,
        )
        if status == 0:
            return None
        text = "\n".join(output)[-MAX_CHARACTERS:]
        return self._cause("exit_code", name, f"{name} ended with status {status}" + (f": {text}" if text else ""))

    async def _ask(self, words: list[str], effect: RunHook) -> Cause | None:
        """Send a command on the bus: department, target, action, then name=value."""
        if len(words) < 3:
            return self._cause("wrong_command", effect.hook.name, "write [bus, DEPARTMENT, TARGET, ACTION, name=value]")
        department, target, action, *given = words
        arguments = dict(part.split("=", 1) for part in given if "=" in part)
        now_ns, seconds = self._clock.now_ns(), effect.hook.deadline_s
        command = Command(
            id=f"{self._partition}-{effect.hook.name}-{now_ns:x}",
            action=action,
            arguments={**arguments},
            issued_ns=now_ns,
            deadline_ns=now_ns + round(seconds * 1e9),
            within_s=seconds,
            origin=f"hook {effect.hook.name} of {self._partition}",
        )
        subject = subjects.command("runs", department, target)
        reply = await ask(self._bus, subject, command, Reply, timeout_s=max(0.1, seconds))
        return reply.cause

    def _cause(self, code: str, name: str, message: str) -> Cause:
        return Cause(
            code=code,
            message=message,
            source=f"runs.{self._partition}.{name}",
            suggestion="check the program of the hook",
        )


def _filled(text: str, placeholders: dict[str, str]) -> str:
    for name, value in placeholders.items():
        text = text.replace(f"{{{name}}}", value)
    return text
