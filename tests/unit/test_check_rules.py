"""`check` tells what a rule cannot do, may not do, or does in a circle."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.test_check_alarms import problems

RULE = "  rules:\n    one:\n      reason: r\n"
WARM = "      when: {limit: {point: mill.speed, alarm_high: 5}}\n"
LOG = "      do: [{log: x}]\n"


def test_a_rule_without_a_mistake_is_right(tmp_path: Path) -> None:
    section = (
        RULE
        + WARM
        + """\
      unless: {state: {of: partition.mCBM, in: [Idle]}}
      for: 5 min
      do:
        - log: {text: x, run_book: mCBM}
        - command: {partition: mCBM, command: stop}
      roles: {partition.mCBM: shifter}
"""
    )
    assert problems(tmp_path, section) == []


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ("      when: {limit: {point: mill.sped, alarm_high: 5}}\n" + LOG, "no point is named mill.sped"),
        (WARM + "      unless: {state: {of: device.mil, in: [on]}}\n" + LOG, "no device is named mil"),
        (WARM + "      do: [{command: {device: mil, command: x}}]\n", "no device is named mil; did you mean mill"),
        (WARM + "      do: [{command: {device: mill, command: jump}}]\n", "mill has no command jump of the device"),
        (WARM + "      do: [{command: {device: mill, channel: '1', command: x}}]\n", "mill has no channel 1"),
        (WARM + "      do: [{command: {partition: mCBM, command: stopp}}]\n", "did you mean stop"),
        (WARM + "      do: [{command: {partition: mCBM, command: goal}}]\n", "goal needs state"),
        (
            WARM + "      do: [{command: {partition: mCBM, command: stop, arguments: {now: true}}}]\n",
            "stop takes no now",
        ),
        (
            WARM + "      do: [{command: {partition: mCBM, command: stop}}]\n",
            "it may not do this; add to roles of one: partition.mCBM: shifter",
        ),
        (WARM + "      do: [{ramp: {point: mill.speed, to: 3, rate: 1}}]\n", "speed cannot be written"),
        (WARM + "      do: [{notify: {to: anna, text: t}}]\n", "no channel, person or calendar is named anna"),
        (WARM + "      do: [{ramp: {point: mill.spee, to: 3, rate: 1}}]\n", "no point is named mill.spee"),
        (
            WARM + "      do: [{command: {device: mill, command: set, arguments: {point: speed, value: 3}}}]\n",
            "speed cannot be written",
        ),
        (
            "      when: {event: {department: run, action: start}}\n" + LOG,
            "no department is named run; did you mean runs",
        ),
        (WARM + "      unless: {limit: {point: mill.speed, alarm_high: 5}}\n" + LOG, "it never acts"),
        ("      when: {cron: '0 0 31 4 *'}\n" + LOG, "bad day-of-month"),
    ],
)
def test_what_a_rule_cannot_do_is_told(tmp_path: Path, rule: str, told: str) -> None:
    found = [one for one in problems(tmp_path, RULE + rule) if not one.startswith("warning")]
    assert [told in one for one in found] == [True], found


def test_a_partition_may_come_later(tmp_path: Path) -> None:
    rule = "      do: [{command: {partition: mCBN, command: stop}}]\n      roles: {'partition.*': shifter}\n"
    (found,) = problems(tmp_path, RULE + WARM + rule)
    assert found.startswith("warning: ")
    assert "no partition is named mCBN; did you mean mCBM" in found


def test_rules_that_trigger_each_other_by_events_are_wrong(tmp_path: Path) -> None:
    section = """\
  rules:
    one: {reason: r, when: {event: {department: alarms, source: two, action: log}}, do: [{log: a}]}
    two: {reason: r, when: {event: {department: alarms, source: three, action: fired}}, do: [{log: b}]}
    three: {reason: r, when: {event: {department: alarms, kind: note, source: one}}, do: [{log: c}]}
"""
    (found,) = problems(tmp_path, section)
    assert "one runs in a circle by way of three, two: it leads to the event log of two, which triggers one" in found


def test_a_rule_that_changes_what_it_reads_may_run_in_a_circle(tmp_path: Path) -> None:
    rule = """\
      when: {state: {of: partition.mCBM, in: [Idle]}}
      do: [{command: {partition: mCBM, command: configure}}]
      roles: {partition.mCBM: shifter}
"""
    (found,) = problems(tmp_path, RULE + rule)
    assert found.startswith("warning: ")
    assert "it may run in a circle: it changes partition.mCBM, which triggers one" in found


def test_an_event_of_its_own_is_no_circle(tmp_path: Path) -> None:
    rule = "      when: {event: {department: alarms, action: log}}\n"
    assert problems(tmp_path, RULE + rule + LOG) == []
