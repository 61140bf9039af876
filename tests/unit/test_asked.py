"""What stands in a command is what was meant, or it is refused."""

from __future__ import annotations

import pytest

from countingroom.bus.command_request import CommandRequest
from countingroom.core.errors import OutOfRange
from countingroom.core.messages import Command
from countingroom.core.values import Scalar


def asked(value: Scalar) -> CommandRequest:
    command = Command(id="c", action="comment", arguments={"run": value}, issued_ns=0, deadline_ns=1)
    return CommandRequest(command=command, by="anna")


@pytest.mark.parametrize(("value", "number"), [(3, 3), (3.0, 3), ("3", 3), (None, None), ("", None)])
def test_a_whole_number_is_read_however_it_is_written(value: Scalar, number: int | None) -> None:
    assert asked(value).whole("run") == number


@pytest.mark.parametrize("value", [1.5, "1.5", True, "x", "nan", float("inf")])
def test_what_is_no_whole_number_is_refused_and_never_rounded(value: Scalar) -> None:
    with pytest.raises(OutOfRange):
        asked(value).whole("run")
