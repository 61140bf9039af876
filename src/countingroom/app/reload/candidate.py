"""The process that reads and checks an edited description for a reload, as `up` sees it.

It is a fork of the fork server: it has the modules already, and what it allocates ends with it. Its module is
`countingroom.cli.reload_candidate`.
"""

from __future__ import annotations

import sys
from typing import Any

import msgspec
from msgspec import Struct

from countingroom.app.child_process import Launch, end
from countingroom.core.clock import timeout
from countingroom.core.errors import Cause, ConfigurationError
from countingroom.core.messages import Malformed, decode_json
from countingroom.core.reload.content import ReloadContent

MODULE = "countingroom.cli.reload_candidate"
LONGEST_S = 120.0
"""Time to read and check a description."""

END_S = 2.0
"""Time for it to end by itself, before it is killed."""


class CandidateQuestion(Struct, frozen=True, kw_only=True):
    """The first line of its input."""

    description: str
    """Path of the main file."""
    simulate: bool


class ReloadCandidate(Struct, frozen=True, kw_only=True):
    """Its one line of output: an edited description."""

    mistakes: tuple[Cause, ...] = ()
    """All of them; the rest is empty where there is one."""
    warnings: tuple[str, ...] = ()
    content: ReloadContent | None = None
    value: Any = None
    """The description as one value, with its includes."""


async def candidate(launch: Launch, question: CandidateQuestion) -> ReloadCandidate:
    """The description as it stands on disk now. ConfigurationError where it could not be read at all."""
    process = await launch((sys.executable, "-m", MODULE), None)
    try:
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("a child is started with both pipes")
        process.stdin.write(msgspec.json.encode(question) + b"\n")
        async with timeout(LONGEST_S):
            line = await process.stdout.readline()
        if not line:
            raise ConfigurationError(
                "the edited description could not be checked: the process that checks it ended without an answer",
                source=question.description,
                suggestion="if countingroom was changed or updated since its start, start `countingroom up` again; "
                f"else see what countingroom check {question.description} says",
            )
        return decode_json(line, ReloadCandidate)
    except (TimeoutError, Malformed, ValueError) as error:
        raise ConfigurationError(
            f"the edited description could not be checked: {error or f'no answer within {LONGEST_S:g} s'}",
            source=question.description,
            suggestion=f"run countingroom check {question.description}",
        ) from error
    finally:
        await end(process, END_S)
