"""Run control flags a run by itself: what was wrong, from when to when, and how the run ended."""

from __future__ import annotations

import pytest

from countingroom.core.run_book import Run, RunEnd, RunFlag, RunFlagKind
from countingroom.core.run_flags import (
    AGAIN_NS,
    MOST,
    RunTrouble,
    condition_trouble,
    continued,
    ended,
    followed,
    member_trouble,
)
from countingroom.core.systems import ERROR, NO_CONNECTION
from countingroom.core.values import Quality, Reading, Scalar

STS = RunTrouble(flag=RunFlagKind.DEGRADED, subject="STS")


def reading(value: Scalar, quality: Quality = Quality.GOOD, reason: str = "") -> Reading:
    return Reading(value=value, quality=quality, device_ns=1, received_ns=1, reason=reason)


@pytest.mark.parametrize(
    ("common", "included", "cause", "what"),
    [
        ("Recording", True, "", ""),
        ("Active", True, "", ""),
        ("Active", False, "", "STS is excluded"),
        ("Active", True, "no trigger", "STS reports a failure: no trigger"),
        (ERROR, True, "no trigger", "STS is in Error: no trigger"),
        (NO_CONNECTION, True, "", "STS is in Connection Problem"),
        ("Unconfigured", True, "", "STS is in Unconfigured"),
    ],
)
def test_a_member_degrades_a_run_while_it_is_not_well(common: str, included: bool, cause: str, what: str) -> None:
    assert member_trouble("STS", common, included=included, cause=cause) == what


@pytest.mark.parametrize(
    ("found", "what"),
    [
        (reading(-25.0), ""),
        (reading(-19.5), "co2.t is -19.5, above -20"),
        (reading(-41), "co2.t is -41, below -40"),
        (reading(-25.0, Quality.STALE, "no link"), "co2.t is STALE: no link"),
        (reading(None, Quality.BAD), "co2.t is BAD"),
        (reading("cold"), ""),
        (None, "there is no reading of co2.t"),
    ],
)
def test_a_condition_degrades_a_run_outside_its_limits_and_where_it_is_not_known(
    found: Reading | None, what: str
) -> None:
    assert condition_trouble("co2.t", found, low=-40, high=-20) == what


def test_a_flag_has_the_time_in_which_it_was_so() -> None:
    flags = followed((), {STS: "STS is excluded"}, 10)
    assert [(one.flag, one.what, one.since_ns, one.until_ns) for one in flags] == [
        ("degraded", "STS is excluded", 10, None)
    ]
    assert followed(flags, {STS: "another text"}, 20) == flags
    (over,) = followed(flags, {}, 30)
    assert (over.since_ns, over.until_ns) == (10, 30)


def test_a_trouble_that_comes_again_soon_goes_on_and_later_has_a_flag_of_its_own() -> None:
    over = followed(followed((), {STS: "a"}, 10), {}, 20)
    (again,) = followed(over, {STS: "a"}, 20 + AGAIN_NS - 1)
    assert (again.since_ns, again.until_ns) == (10, None)
    first, second = followed(over, {STS: "b"}, 20 + AGAIN_NS)
    assert (first.until_ns, second.what, second.since_ns) == (20, "b", 20 + AGAIN_NS)


def test_the_flags_of_one_run_are_bounded() -> None:
    flags: tuple[RunFlag, ...] = ()
    for count in range(MOST + 10):
        now_ns = 2 * count * AGAIN_NS
        flags = followed(followed(flags, {STS: "a"}, now_ns), {}, now_ns + 1)
    assert len(flags) == MOST


@pytest.mark.parametrize("end", list(RunEnd))
def test_a_run_that_did_not_end_by_a_stop_is_interrupted(end: RunEnd) -> None:
    kinds = [one.flag for one in ended((), end, reason="QA left recording", missing={}, now_ns=5)]
    assert kinds == (["interrupted"] if end in (RunEnd.LOST, RunEnd.ABORTED, RunEnd.OWNER_DIED) else [])


def test_a_run_whose_recorder_did_not_stop_is_incomplete_and_says_why() -> None:
    (flag,) = ended((), RunEnd.STOPPED, reason="", missing={"QA": "QA did not stop: disk full"}, now_ns=5)
    assert (flag.flag, flag.subject, flag.what, flag.since_ns) == ("incomplete", "QA", "QA did not stop: disk full", 5)


def test_a_run_names_each_kind_of_its_flags_once() -> None:
    flags = continued(followed((), {STS: "a"}, 1), 2)
    flags = ended(flags, RunEnd.ABORTED, reason="", missing={"QA": "x"}, now_ns=3)
    run = Run(number=1, partition="A", template="cbm", requested_by="sam", asked_ns=1, flags=flags)
    assert run.flagged == ("degraded", "interrupted", "incomplete")
