"""Commands inside containers: each ends in time, and one that does not is not begun a second time beside itself."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any

from countingroom.core.clock import Clock, timeout
from countingroom.core.errors import CountingRoomError
from countingroom.core.fleet.specs import InstanceId
from countingroom.fleet.engines.container_api import CALL_S

_TAIL_BYTES = 1 << 20
_AGAIN_S = 0.05
_LATE = 124
"""The status of `timeout` of the shell."""
Answering = Callable[[str, float | None], AbstractAsyncContextManager[None]]
"""A deadline around calls of an engine, and their errors as ours."""


class ContainerCommands:
    """Of one engine."""

    def __init__(self, clock: Clock, answering: Answering) -> None:
        self._clock = clock
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
                    self._hanging[key] = run
                    async for piece in _output(run):
                        output = (output + piece)[-_TAIL_BYTES:]
                    # The engine may end the output before it knows the end of the command, and tells that by no news.
                    while (seen := await run.inspect()).get("Running"):
                        await self._clock.sleep(_AGAIN_S)
                    self._hanging.pop(key, None)
            except TimeoutError:
                return _LATE, f"it did not end within {timeout_s:g} s"
        status = seen.get("ExitCode")
        return 1 if status is None else int(status), output.decode(errors="replace")


async def _output(run: Any) -> AsyncGenerator[bytes]:
    """What a command writes, to its end. aiodocker asserts that the connection is open whenever it looks at it; that of
    a command that ends at once is closed by then."""
    from aiodocker import DockerError

    stream = run.start(detach=False)
    try:
        while (message := await stream.read_out()) is not None:
            yield message.data
    except AssertionError:
        return
    except DockerError as error:
        if "closed underlying socket" not in error.message:
            raise
    finally:
        with suppress(AssertionError):
            await stream.close()
