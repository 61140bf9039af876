"""What people decided of templates of log lines, and the queue of those that wait, in files of the data folder."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from pathlib import Path

import msgspec

from countingroom.core.errors import ConfigurationError
from countingroom.core.mirror.approvals import TemplateDecision
from countingroom.core.mirror.templates import problem_of
from countingroom.mirror.line_files import append_lines, read_lines
from countingroom.mirror.withheld import WithheldQueue

_log = logging.getLogger(__name__)

DECISIONS = Path("mirror") / "approvals.jsonl"
"""In the data folder: one decision a line, the last one of a template counts. The earlier ones are its history."""
QUEUE = Path("mirror") / "withheld.json"
"""In the data folder. It holds raw lines."""
_FOR_OWNER = 0o600


def read_decisions(path: Path) -> list[TemplateDecision]:
    """All of the file, in their order. ConfigurationError where it cannot be read or a line is damaged: a refusal that
    is lost would let lines out. A last line that was cut off by a crash was never answered, and is left out."""
    found: list[TemplateDecision] = []
    for number, line in enumerate(read_lines(path), 1):
        try:
            one = msgspec.json.decode(line, type=TemplateDecision)
            wrong = problem_of(one.approval)
        except (msgspec.MsgspecError, RecursionError) as error:
            wrong = str(error)
        else:
            found.append(one)
        if wrong:
            raise ConfigurationError(
                f"it is no decision of a template: {wrong}",
                source=f"{path}:{number}",
                code="bad_decision",
                suggestion="restore the file from a backup, or remove the line and decide of its template anew",
            )
    return found


def append_decisions(path: Path, decisions: Iterable[TemplateDecision]) -> None:
    """Add them, on the disk when it returns. LinkError where that fails; then none counts."""
    append_lines(path, (msgspec.json.encode(one) for one in decisions), "the decision")


def read_queue(path: Path, queue: WithheldQueue) -> None:
    """Fill the queue with what was kept. A file that cannot be read is left out: lines fill the queue again."""
    try:
        queue.load(path.read_bytes())
    except FileNotFoundError:
        pass
    except (OSError, ValueError, RecursionError) as error:
        _log.warning("%s: the queue of withheld templates begins anew: %s", path, error)


def write_queue(path: Path, data: bytes) -> None:
    """Keep what `WithheldQueue.dump` gave, in the place of what was kept. OSError where that fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".new")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _FOR_OWNER)
    with open(descriptor, "wb") as file:  # noqa: PTH123 (a descriptor)
        file.write(data)
    beside.replace(path)
