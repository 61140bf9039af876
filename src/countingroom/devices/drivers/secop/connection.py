"""One connection to a SECoP node: lines over TCP. Answers are matched to requests by their action and specifier.

The node sends updates at any time; they go to `on_update` in their order, before the answers that come after them.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict, deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

from msgspec import Struct

from countingroom.core.clock import timeout
from countingroom.core.errors import DeviceError, LinkError

MOST_BYTES = 16 << 20
"""Of one line; the description of a large node is the longest."""
_REPLIES = {
    "describe": "describing",
    "activate": "active",
    "ping": "pong",
    "change": "changed",
    "do": "done",
    "read": "reply",
}
_WITHOUT_SPECIFIER = ("describe", "activate")
"""Their answers may name what the request did not: `describing .`."""
_ERROR = "error_"
_SHOWN = 60
_MOST_TEXT = 300
"""Letters of an error of the node that are repeated."""
_MOST_TIME_S = 1e10
"""A later time stamp is none; 64 bits hold no such one in nanoseconds."""


class NodeUpdate(Struct, frozen=True):
    """A value that the node sends, or why it has none."""

    specifier: str
    value: Any
    time_s: float | None
    """The time stamp of the node; seconds since 1970."""
    error: str = ""
    """Its error class and text where it has no value: `HardwareError: no sensor`."""


def error_text(report: Any) -> tuple[str, str]:
    """Class and text of an error report."""
    items = _items(report)
    name, text = (items[0], items[1]) if len(items) >= 2 else ("InternalError", report)
    return _printed(name), _printed(text)


def _printed(given: Any) -> str:
    """A text of the node that an event can carry: not endless, and without halves of surrogate pairs."""
    return str(given)[:_MOST_TEXT].encode(errors="replace").decode()


def _items(data: Any) -> list[Any]:
    """The data of a message as a list: `[value, qualifiers]` or `[class, text, qualifiers]`."""
    return cast("list[Any]", data) if isinstance(data, list) else []


def _stamp(items: list[Any], place: int) -> float | None:
    """The time stamp in the qualifiers at this place; None where there is none."""
    if len(items) <= place or not isinstance(items[place], dict):
        return None
    found = cast("dict[str, Any]", items[place]).get("t")
    if isinstance(found, bool) or not isinstance(found, (int, float)) or not 0 <= found < _MOST_TIME_S:
        return None
    return float(found)


class SecopConnection:
    """A connected node, until it is lost or closed."""

    def __init__(self, source: str, on_update: Callable[[NodeUpdate], None], on_lost: Callable[[], None]) -> None:
        self._source = source
        self._on_update = on_update
        self._on_lost = on_lost
        self._writer: asyncio.StreamWriter | None = None
        self._task: asyncio.Task[None] | None = None
        self._waiting: dict[tuple[str, str], deque[asyncio.Future[Any]]] = defaultdict(deque)

    async def open(self, host: str, port: int, timeout_s: float) -> None:
        """Connect and read the identification; LinkError where there is no node."""
        try:
            async with timeout(timeout_s):
                reader, self._writer = await asyncio.open_connection(host, port, limit=MOST_BYTES)
                self._writer.write(b"*IDN?\n")
                answer = (await reader.readline()).decode(errors="replace").strip()
        except (OSError, ValueError, TimeoutError) as error:
            self._drop()
            raise LinkError(
                f"no SECoP node answers at {host}:{port}: {error or 'no answer in time'}",
                source=self._source,
                suggestion="check that the node runs, and its host and port",
            ) from error
        except BaseException:
            self._drop()
            raise
        if "SECoP" not in answer.split(","):
            self._drop()
            raise LinkError(
                f"{host}:{port} is no SECoP node: it answers {answer[:_SHOWN]!r}",
                code="wrong_device",
                source=self._source,
                suggestion="check host and port",
            )
        self._task = asyncio.create_task(self._read(reader))

    async def request(self, action: str, specifier: str = "", data: Any = None, *, timeout_s: float) -> Any:
        """The data of the answer. DeviceError with the text of the node where it refuses; LinkError without answer."""
        if self._writer is None or self._task is None or self._task.done():
            raise LinkError("there is no connection to the node", source=self._source)
        key = (_REPLIES[action], "" if action in _WITHOUT_SPECIFIER else specifier)
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[key].append(answer)
        line = " ".join(filter(None, (action, specifier)))
        if action in ("change", "do"):
            line = f"{line} {json.dumps(data)}"
        self._writer.write(f"{line}\n".encode())
        try:
            async with timeout(timeout_s):
                return await answer
        except TimeoutError:
            raise LinkError(
                f"the node did not answer {action} {specifier} within {timeout_s:g} s".replace("  ", " "),
                code="timeout",
                source=self._source,
            ) from None

    def abort(self) -> None:
        """The node does not answer any more: end the connection, as if the node had."""
        if self._writer is not None:
            self._writer.transport.abort()

    async def close(self) -> None:
        """End the connection. `on_lost` is not called."""
        task, self._task = self._task, None
        if task:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        self._drop()

    def _drop(self) -> None:
        if self._writer is not None:
            self._writer.transport.abort()
            self._writer = None
        for answers in self._waiting.values():
            for answer in answers:
                if not answer.done():
                    answer.set_exception(LinkError("the link to the node was lost", source=self._source))
                    answer.exception()  # its request may have been cancelled
        self._waiting.clear()

    async def _read(self, reader: asyncio.StreamReader) -> None:
        try:
            while line := await reader.readline():
                self._take(line)
        except (OSError, ValueError):  # ValueError: a line without end
            pass
        finally:
            is_lost = self._task is not None
            self._drop()
            if is_lost:
                self._on_lost()

    def _take(self, line: bytes) -> None:
        action, specifier, data = _split(line)
        items = _items(data)
        match action:
            case "update" if items:
                self._on_update(NodeUpdate(specifier, items[0], _stamp(items, 1)))
            case "update":
                self._on_update(
                    NodeUpdate(specifier, None, None, f"the node sends {line[:_SHOWN]!r}, which is no value")
                )
            case "error_update":
                name, text = error_text(data)
                self._on_update(NodeUpdate(specifier, None, _stamp(items, 2), f"{name}: {text}"))
            case _ if action.startswith(_ERROR):
                self._fail(action.removeprefix(_ERROR), specifier, data)
            case _:
                self._answer(action, specifier, data)

    def _answer(self, reply: str, specifier: str, data: Any) -> None:
        answer = self._oldest(reply, specifier)
        if answer is not None and not answer.done():
            answer.set_result(data)

    def _fail(self, action: str, specifier: str, data: Any) -> None:
        name, text = error_text(data)
        answer = self._oldest(_REPLIES.get(action, ""), specifier)
        if answer is not None and not answer.done():
            answer.set_exception(
                DeviceError(
                    f"the node refused {action} {specifier}: {text}",
                    code="refused_by_device",
                    source=self._source,
                    evidence={"error": name, "answer": text},
                    suggestion="look at the limits and the state of the module",
                )
            )

    def _oldest(self, reply: str, specifier: str) -> asyncio.Future[Any] | None:
        """The oldest request with this answer. One that is done, as its time is over, takes its answer too."""
        for key in ((reply, specifier), (reply, "")):
            if answers := self._waiting.get(key):
                answer = answers.popleft()
                if not answers:
                    del self._waiting[key]
                return answer
        return None


def _split(line: bytes) -> tuple[str, str, Any]:
    """Action, specifier and data of a line. Data that is no JSON is None."""
    text = line.decode(errors="replace").strip()
    action, _, rest = text.partition(" ")
    specifier, _, data = rest.partition(" ")
    try:
        return action, specifier, json.loads(data) if data else None  # NaN is read too, and is BAD
    except (ValueError, RecursionError):
        return action, specifier, None
