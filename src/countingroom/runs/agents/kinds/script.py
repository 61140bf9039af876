"""Script agent: runs one external program for each step or action of a system.

The exit status decides about success, the output is shown as comment, and an abort ends the program with all its
children. A program gets its order twice: as one JSON object on its input (`system`, `partition`, `action`, `step`,
`tag`, `run`, `parameters`), and in its environment as `COUNTINGROOM_SYSTEM` … `COUNTINGROOM_RUN` and
`COUNTINGROOM_PARAMETERS` (JSON; more than 100,000 bytes are in the file `COUNTINGROOM_PARAMETERS_FILE` instead).
Programs of other actions than `configure` and `reconfigure` get the tag and the parameters of the last one of these.
What the programs started continues without the agent; a restarted agent recovers the last saved state.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from countingroom.core.clock import Clock
from countingroom.core.errors import DeviceError
from countingroom.core.temporary_folder import TemporaryFolder
from countingroom.core.values import Scalar
from countingroom.runs.agents.kinds import program
from countingroom.runs.agents.kinds.guardian import Guardian
from countingroom.runs.agents.port import Handle, Recovery, System
from countingroom.runs.sections.agent import ScriptAgent
from countingroom.runs.sections.program_words import WORD
from countingroom.runs.sections.system import configuring_states

_log = logging.getLogger(__name__)

_SHOWN = 200
"""Maximum length of a comment, in characters."""
_LAST = 5
"""Number of last output lines in the cause of a failure."""
LONGEST = 100_000
"""Bytes of the parameters in the environment. Linux takes 128 KiB for one variable; longer ones are in a file."""


class Script(System):
    """Runs a program for each order."""

    def __init__(
        self,
        handle: Handle,
        section: ScriptAgent,
        clock: Clock,
        *,
        directory: Path,
        guardian: Guardian | None = None,
    ) -> None:
        super().__init__(handle)
        self._guardian = guardian
        self._section = section
        self._clock = clock
        self._directory = directory / section.directory

    async def configure(self, step: str, parameters: Mapping[str, Scalar]) -> None:
        await self.run(nth(self._section.configure, self.handle, step), "configure", step)

    async def reconfigure(self, parameters: Mapping[str, Scalar]) -> None:
        if not self._section.reconfigure:
            return await super().reconfigure(parameters)
        return await self.run(self._section.reconfigure, "reconfigure")

    async def start(self, run: int) -> None:
        await self.run(self._section.start, "start")

    async def stop(self) -> None:
        await self.run(self._section.stop, "stop")

    async def abort(self) -> None:
        await self.run(self._section.abort, "abort")

    async def recover(self) -> Recovery | None:
        return self.handle.remembered

    async def run(self, argv: Sequence[str] | None, action: str, step: str = "") -> None:
        """Run a program to its end; DeviceError when its status is not 0."""
        if not argv:
            return
        words, environment, given = briefed(self.handle, action, step)
        argv, last, what = filled(argv, words), deque[str](maxlen=_LAST), step or action

        def said(line: str) -> None:
            last.append(line)
            _log.info("systems.%s: %s: %s", self.handle.system, what, line)
            self.handle.comment(line[:_SHOWN])

        with _large(environment):
            status = await program.run(
                argv,
                self._clock,
                directory=self._directory,
                environment=environment,
                given=given,
                said=said,
                guardian=self._guardian,
            )
        if status:
            raise failed(self.handle, what, argv, status, last)


@contextmanager
def _large(environment: dict[str, str]) -> Generator[None]:
    """Put parameters that are too long for an environment variable into a file, named in another variable."""
    parameters = environment["COUNTINGROOM_PARAMETERS"]
    if len(parameters.encode()) <= LONGEST:
        yield
        return
    del environment["COUNTINGROOM_PARAMETERS"]
    folder = TemporaryFolder("parameters")
    try:
        file = folder.path / "parameters.json"
        file.write_text(parameters, encoding="utf-8")
        environment["COUNTINGROOM_PARAMETERS_FILE"] = str(file)
        yield
    finally:
        folder.remove()


def nth(programs: Sequence[Sequence[str]], handle: Handle, step: str) -> Sequence[str] | None:
    """The program of a step; None when the step has none."""
    steps = configuring_states(handle.chart)
    index = steps.index(step) if step in steps else len(programs)
    return programs[index] if index < len(programs) else None


def briefed(handle: Handle, action: str, step: str = "") -> tuple[dict[str, str], dict[str, str], bytes]:
    """The order for a program, in three forms: replacements for its arguments, its environment, and its input."""
    order = handle.order
    said: dict[str, Scalar] = {
        "system": handle.system,
        "partition": handle.partition,
        "action": action,
        "step": step,
        "tag": order.tag if order else "",
        "run": order.run if order else 0,
    }
    parameters = dict(order.parameters) if order else {}
    words = {name: _text(value) for name, value in {**parameters, **said}.items()}
    environment = {f"COUNTINGROOM_{name.upper()}": _text(value) for name, value in said.items()}
    environment["COUNTINGROOM_PARAMETERS"] = msgspec.json.encode(parameters).decode()
    return words, environment, msgspec.json.encode({**said, "parameters": parameters}) + b"\n"


def filled(argv: Sequence[str], words: Mapping[str, str]) -> list[str]:
    """The arguments with each known `{word}` replaced; unknown ones stay."""
    return [WORD.sub(lambda found: words.get(found[1], found[0]), argument) for argument in argv]


def failed(handle: Handle, what: str, argv: Sequence[str], status: int, last: Sequence[str]) -> DeviceError:
    """The error for a program that ended with a status other than 0."""
    how = f"status {status}" if status > 0 else f"signal {-status}"
    said = f": {last[-1][:_SHOWN]}" if last else ""
    return DeviceError(
        f"{what} of {handle.system}: {argv[0]} ended with {how}{said}",
        source=f"systems.{handle.system}",
        code="program_failed",
        evidence={"program": argv[0], "status": status, "said": "\n".join(last)},
        suggestion="see what it said in the log of the agent, then reset and configure again",
    )


def _text(value: Scalar) -> str:
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
