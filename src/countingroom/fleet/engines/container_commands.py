"""Commands inside containers: each ends in time, and one that does not is not begun a second time beside itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any

from countingroom.core.clock import timeout
from countingroom.core.errors import CountingRoomError
from countingroom.core.fleet.specs import InstanceId
from countingroom.fleet.engines.container_api import CALL_S

_TAIL_BYTES = 1 << 20
_LATE = 124
"""The status of `timeout` of the shell."""
Answering = Callable[[str, float | None], AbstractAsyncContextManager[None]]
"""A deadline around calls of an engine, and their errors as ours."""


class ContainerCommands:
    """Of one engine."""

    def __init__(self, answering: Answering) -> None:
        self._answering = answering
        self._hanging: dict[tuple[InstanceId, tuple[str, ...]], Any] = {}
        """Commands that did not end in time."""

    async def run(self, container: Any, id: InstanceId, command: Sequence[str], timeout_s: float) -> tuple[int, str]:
        """(status, output); 124 where it did not end in time."""
        key = id, tuple(command)
        if hanging := self._hanging.pop(key, None):
            # Another one beside it would be one more with each check: the engine cannot end it.
            with suppress(CountingRoomError):
                async with self._answering(f"{command[0]} in {id}", CALL_S):
                    if (await hanging.inspect()).get("Running"):
                        self._hanging[key] = hanging
                        return _LATE, f"{command[0]} of an earlier call has not ended yet"
        output = b""
        async with self._answering(f"{command[0]} could not be run in {id}", None):
            try:
                async with timeout(timeout_s):
                    run = await container.exec(list(command))
                    async with run.start(detach=False) as stream:
                        self._hanging[key] = run
                        while (message := await stream.read_out()) is not None:
                            output = (output + message.data)[-_TAIL_BYTES:]
                        self._hanging.pop(key, None)
                    status = (await run.inspect()).get("ExitCode")
            except TimeoutError:
                return _LATE, f"it did not end within {timeout_s:g} s"
        return 1 if status is None else int(status), output.decode(errors="replace")
