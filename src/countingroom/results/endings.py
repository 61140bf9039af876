"""How a program ended, from its exit status and from what was asked and said meanwhile. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from countingroom.core.errors import Cause
from countingroom.core.results import ResultState

_SIGNALS = {1: "SIGHUP", 2: "SIGINT", 6: "SIGABRT", 9: "SIGKILL", 11: "SIGSEGV", 15: "SIGTERM"}


class Facts(Struct, frozen=True, kw_only=True):
    """The facts about the end of a program."""

    program: str
    status: int | None
    """The exit status, negative for a signal; None: it could not be started."""
    stopped_by: str = ""
    too_long_s: float = 0.0
    """Its time limit, where that was reached; 0: it was not."""
    error: str = ""
    """What the program itself reported as its error."""
    last: str = ""
    """The last line of its output."""
    not_kept: str = ""
    """Why some of what it wrote is not kept, where that is a failure: a full disk."""


def ending(facts: Facts) -> tuple[ResultState, Cause | None]:
    """The state of the result and its cause; the first of the reasons counts."""
    if facts.not_kept:
        return ResultState.FAILED, _cause(
            facts,
            "not_kept",
            f"not all that it wrote could be kept: {facts.not_kept}",
            "free space on disk",
        )
    if facts.stopped_by:
        return ResultState.STOPPED, _cause(facts, "stopped", f"{facts.stopped_by} stopped it", "start it again")
    if facts.too_long_s:
        return ResultState.FAILED, _cause(
            facts,
            "time_limit",
            f"{facts.program} ran longer than its limit of {facts.too_long_s:g} s",
            "see its log, or give it a longer time_limit in the description",
        )
    if facts.error:
        return ResultState.FAILED, _cause(facts, "program_failed", facts.error, "see its log")
    if facts.status:
        said = f": {facts.last}" if facts.last else ""
        return ResultState.FAILED, _cause(
            facts, "program_failed", f"{facts.program} {_how(facts.status)}{said}", "see its log"
        )
    return ResultState.COMPLETED, None


def interrupted(program: str, why: str) -> Cause:
    """The cause for a result of a program that was no longer watched."""
    return Cause(
        code="interrupted",
        message=f"{program} was ended: {why}",
        source=f"results.{program}",
        suggestion="start it again; what it had written is kept",
    )


def summary(number: int, state: ResultState, parts: Sequence[object], problems: Sequence[str]) -> str:
    """The text of the event of an end."""
    many = f"{len(parts)} document{'' if len(parts) == 1 else 's'} and arrays" if parts else "nothing to keep"
    more = f"; {len(problems)} problem{'' if len(problems) == 1 else 's'}" if problems else ""
    return f"result {number} {state.value}: {many}{more}"


def _how(status: int) -> str:
    return f"ended with status {status}" if status > 0 else f"was ended by {_SIGNALS.get(-status, f'signal {-status}')}"


def _cause(facts: Facts, code: str, message: str, suggestion: str) -> Cause:
    return Cause(
        code=code,
        message=message,
        source=f"results.{facts.program}",
        evidence={"status": facts.status},
        suggestion=suggestion,
    )
