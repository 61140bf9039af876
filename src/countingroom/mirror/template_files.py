"""Files with approved templates: one JSON object a line, so that they can be compared, sorted and joined."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from countingroom.core.errors import ConfigurationError
from countingroom.core.mirror.templates import Approval, problem_of

_MOST_BYTES = 64 << 20


def read_templates(paths: Iterable[Path]) -> list[Approval]:
    """The approvals of these files; of a template that occurs twice the last. ConfigurationError with file and line."""
    found: dict[str, Approval] = {}
    for path in paths:
        for number, line in enumerate(_lines(path), 1):
            if not line.strip():
                continue
            try:
                one = msgspec.json.decode(line, type=Approval)
                wrong = problem_of(one)
            except (msgspec.MsgspecError, RecursionError) as error:
                wrong = str(error)
            else:
                if not wrong:
                    found[one.template] = one
            if wrong:
                raise ConfigurationError(
                    f"it is no approved template: {wrong}",
                    source=f"{path}:{number}",
                    code="bad_template",
                    suggestion="mend or remove the line; `countingroom mirror learn` writes such lines",
                )
    return list(found.values())


def append_templates(path: Path, approvals: Iterable[Approval]) -> int:
    """Add them at the end of a file; their number. ConfigurationError where it cannot be written."""
    text = b"".join(msgspec.json.encode(one) + b"\n" for one in approvals)
    try:
        with path.open("ab") as file:
            file.write(text)
    except OSError as error:
        raise ConfigurationError(f"it cannot be written: {error.strerror}", source=str(path)) from error
    return text.count(b"\n")


def _lines(path: Path) -> list[bytes]:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ConfigurationError(
                f"it is larger than {_MOST_BYTES >> 20} MiB", source=str(path), code="bad_template"
            )
        return path.read_bytes().splitlines()
    except OSError as error:
        raise ConfigurationError(
            f"the approved templates cannot be read: {error.strerror}",
            source=str(path),
            code="bad_template",
            suggestion="see mirror.templates in the description",
        ) from error
