"""Words in braces that no program gets are told by `check`."""

from __future__ import annotations

from typing import Any

import pytest

from countingroom.runs.description import RunsSection


def warnings(agent: dict[str, Any], **more: Any) -> list[tuple[str, str]]:
    section = RunsSection.model_validate(
        {
            "systems": {"STS": {"agent": agent, **more}},
            "configurations": {"STS": {"beam": {"hv": 1500}}},
        }
    )
    return [(".".join(map(str, path)), message) for path, message in section.warnings()]


@pytest.mark.parametrize("word", ["tag", "run", "step", "partition", "system", "action", "hv"])
def test_what_a_program_gets_is_not_told(word: str) -> None:
    argv = ["prog", f"--x={{{word}}}"]
    assert warnings({"kind": "script", "configure": [argv], "start": argv, "stop": argv, "abort": argv}) == []


@pytest.mark.parametrize("key", ["start", "stop", "abort"])
def test_an_unknown_word_is_told_with_its_place_and_the_likely_one(key: str) -> None:
    ((place, message),) = warnings({"kind": "script", key: ["prog", "{rnu}"]})
    assert place == f"systems.STS.agent.{key}.1"
    assert "{rnu}" in message
    assert "run" in message


def test_the_parameters_of_a_schema_and_the_results_of_a_calibration_are_known() -> None:
    schema = {"type": "object", "properties": {"gain": {"type": "integer"}}}
    agent = {"kind": "calibration", "command": ["prog", "{gain}", "{results}", "{lost}"]}
    ((place, message),) = warnings(agent, parameters=schema)
    assert (place, "{lost}" in message) == ("systems.STS.agent.command.3", True)


def test_an_unknown_word_of_a_hook_is_told() -> None:
    template = {
        "levels": [{"name": "One", "members": ["detectors"]}],
        "hooks": {"tell": {"command": ["prog", "{run}", "{number}"], "trigger": "before configure One"}},
    }
    section = RunsSection.model_validate({"templates": {"own": template}})
    ((path, message),) = section.warnings()
    assert path == ("templates", "own", "hooks", "tell", "command", 2)
    assert "{number}" in message
