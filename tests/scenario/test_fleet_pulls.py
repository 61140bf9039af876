"""The progress of pulls: in the state of a node, and on the command line."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from countingroom.bus.streams import prepare
from countingroom.cli import fleet_follow
from countingroom.core.fleet.states import NodeState, node_key
from tests.scenario.test_fleet_keeper import NODES, Site, services

IMAGE = "hub:5000/camera:2.4.1"


async def test_a_pull_is_in_the_state_of_its_node_until_it_has_ended() -> None:
    site = Site()
    await prepare(site.bus)
    site.described = services(camera={"image": IMAGE, "nodes": ["n1"], "health": {}})
    site.engines["n1"].registry.add(IMAGE)
    site.engines["n1"].takes_s = 2.0
    async with site.keeper():
        begun_ns = site.clock.now_ns()
        await site.give("apply")
        await site.clock.advance(1)
        (pull,) = (await site.state(node_key("n1"), NodeState)).pulls
        assert (pull.image, pull.done_bytes, pull.whole_bytes) == (IMAGE, 0, 0) and pull.since_ns >= begun_ns
        await site.clock.advance(4)
        (pull,) = (await site.state(node_key("n1"), NodeState)).pulls
        assert (pull.done_bytes, pull.whole_bytes) == (16_000_000, 40_000_000)
        await site.clock.advance(3)
        assert (await site.state(node_key("n1"), NodeState)).pulls == ()
        await site.clock.advance(12)
        assert (await site.service()).healthy == 1 and set(NODES) > {"n1"}


def played(_: str) -> Iterator[tuple[list[Any], list[Any], int]]:
    """The states of a fleet in each step of a change, at first those of before it."""
    yield [], [], 0
    for step in range(1, 5):
        pull = {"image": IMAGE, "done_bytes": 12_000_000, "whole_bytes": 40_000_000, "since_ns": 1}
        camera: dict[str, Any] = {"service": "camera", "is_wanted": True, "disabled": None, "cause": None}
        instance = {"node": "gfa1", "index": 0, "is_known": True, "health": "healthy", "is_current": step > 2}
        log = ["1 r1 applied by anna"] + (["2 camera@gfa1: replaced, r1"] if step > 2 else [])
        phase = "rolling" if step < 4 else "done"
        nodes = [{"node": "gfa1", "pulls": [pull] if step == 1 else []}]
        yield [camera | {"instances": [instance], "phase": phase, "log": log}], nodes, 1


@pytest.mark.parametrize("is_terminal", [False, True])
def test_a_change_is_followed_with_lines_or_bars(
    is_terminal: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(fleet_follow, "seen_states", played)
    monkeypatch.setattr("sys.stdout.isatty", lambda: is_terminal)
    if is_terminal:
        monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setenv("COLUMNS", "120")
    api: Any = SimpleNamespace(url="")
    answer = {"outcome": {"kind": "done", "data": {"revision": 1}}}
    fleet_follow.follow_change(api, answer, set(), wait=True, json=False)
    said = capsys.readouterr().out
    assert said.rstrip().endswith("Done.") and "camera@gfa1: replaced, r1" in said
    if is_terminal:
        assert "camera as wanted" in said and "1 of 1 as wanted" in said
    else:
        assert said.splitlines() == [
            "camera: r1 applied by anna",
            f"gfa1: pulls {IMAGE}",
            f"gfa1: the pull of {IMAGE} has ended, 40.0 MB",
            "camera@gfa1: replaced, r1",
            "Done.",
        ]
