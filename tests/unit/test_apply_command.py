"""`countingroom apply` shows the plan, says by its status if there is something to do, and applies what it showed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from countingroom.cli.main import run
from tests.unit.answering import Answers, serving

PATH = ("GET", "/api/v1/apply/plan")
UPDATE = {
    "action": "update",
    "kind": "configuration",
    "name": "STS.beam",
    "reason": "changed in the description",
    "described": {"threshold": 2},
    "held": {"threshold": 1},
}


def found(*changes: dict[str, Any], **counts: int) -> dict[str, Any]:
    plan = {"revision": 1, "changes": list(changes), "renames": [], "digest": "seen"}
    return {"differs": bool(counts), "counts": counts, "read_ns": 1, "plan": plan}


def said(
    words: list[str], plan: dict[str, Any], capsys: pytest.CaptureFixture[str], answer: tuple[int, Any] | None = None
) -> tuple[int, str, list[Any], list[Any]]:
    """Status, output, what was sent, and what was asked."""
    answers: Answers = {PATH: (200, plan)}
    if answer:
        answers["POST", "/api/v1/experiment/commands/apply"] = answer
    asked: list[Any] = []
    with serving(answers, asked) as (url, sent):
        status = run(["apply", *words, "--url", url])
    captured = capsys.readouterr()
    return status, captured.out + captured.err, sent, asked


def test_the_plan_is_a_table_and_its_status_says_that_there_is_something_to_do(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["--plan", "--prune", "--take", "tag.beam=database", "--take", "description"]
    status, told, sent, asked = said(words, found(UPDATE, update=1), capsys)
    assert status == 3
    for word in ("update", "configuration.STS.beam", "threshold 1", "threshold 2", "changed in the description"):
        assert word in told
    assert sent == []
    assert asked == [{"take": ["tag.beam=database,description"], "prune": ["true"]}]


def test_a_plan_without_anything_to_do_has_status_0(capsys: pytest.CaptureFixture[str]) -> None:
    kept = {**UPDATE, "action": "keep", "described": None, "reason": "removed from the description; stays"}
    status, told, sent, _ = said(["--plan"], found(kept), capsys)
    assert (status, sent) == (0, [])
    assert "Nothing to do" in told
    assert "stays" in told
    assert said([], found(), capsys)[0] == 0


def test_the_plan_as_json_is_whole(capsys: pytest.CaptureFixture[str]) -> None:
    status, told, _, _ = said(["--plan", "--json"], found(UPDATE, update=1), capsys)
    assert (status, json.loads(told)) == (3, found(UPDATE, update=1))


def test_what_was_shown_is_applied(capsys: pytest.CaptureFixture[str]) -> None:
    done = {"id": "c1", "outcome": {"kind": "done", "message": "apply done", "source": "_experiment"}}
    status, told, sent, _ = said(["--take", "database"], found(UPDATE, update=1), capsys, (200, done))
    assert status == 0
    assert "apply done" in told
    assert sent[0]["arguments"] == {"take": "database", "prune": False, "digest": "seen"}


def test_a_refusal_has_status_1_and_its_causes(capsys: pytest.CaptureFixture[str]) -> None:
    cause = {"code": "undecided", "message": "1 conflict", "causes": [{"code": "conflict", "message": "tag.beam"}]}
    conflict = {**UPDATE, "action": "conflict"}
    status, told, _, _ = said([], found(conflict, conflict=1), capsys, (409, {"cause": cause}))
    assert status == 1
    assert "Decide the conflicts with --take" in told
    assert "tag.beam" in told
