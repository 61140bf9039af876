"""The program that reads and checks an edited description for `up`, which starts it by app/reload/candidate.py.

It reads one line of JSON, writes one, and ends.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from countingroom.app import parent_watch
from countingroom.app.reload.candidate import CandidateQuestion, ReloadCandidate
from countingroom.app.reload.described import content_of
from countingroom.cli.checked_description import checked_description


def made(question: CandidateQuestion) -> ReloadCandidate:
    """The check of the description as it is on disk now."""
    found = checked_description(Path(question.description))
    warnings = tuple(str(one) for one in found.warnings)
    if found.problems or found.loaded is None:
        return ReloadCandidate(mistakes=tuple(one.cause() for one in found.problems), warnings=warnings)
    return ReloadCandidate(
        warnings=warnings,
        content=content_of(found.loaded.experiment, simulate=question.simulate),
        value=found.loaded.located.value,
    )


def main() -> None:
    """Answer the question on standard input."""
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a driver of another package prints must not mix with the answer
    question = msgspec.convert(parent_watch.parameters(), CandidateQuestion)
    with output:
        output.write(msgspec.json.encode(made(question)) + b"\n")


if __name__ == "__main__":
    main()
