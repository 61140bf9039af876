"""A mistake in a description is told with the path that the user wrote."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, RootModel, ValidationError

from countingroom.core.yaml.located import Place, parse
from countingroom.core.yaml.section import Name, Seconds, Section
from countingroom.core.yaml.validation_errors import did_you_mean, mistakes


class Output(Section):
    board: Annotated[int, Field(ge=0, le=4)]
    mask: int | str | None = None


class Channel(Section):
    lv: Output
    labels: list[str] = []


class Caen(Section):
    driver: Literal["caen"]
    channels: dict[Name, Channel]


class Mqtt(Section):
    driver: Literal["mqtt"]
    mqtt: Output | None = None
    every: Seconds = 1.0


class Devices(RootModel[dict[Name, Annotated[Caen | Mqtt, Field(discriminator="driver")]]]):
    pass


class Top(Section):
    devices: Devices = Devices({})
    spare: Caen | None = None
    outputs: list[Output] = []


def told(text: str) -> list[tuple[int, str, str]]:
    located = parse(text, file="x.yaml")
    with pytest.raises(ValidationError) as error:
        Top.model_validate(located.value)
    return [(one.place.line, one.path, one.message) for one in mistakes(error.value, Top, located)]


CAEN = """
devices:
  caen:
    driver: caen
    channels:
      3:
        lv: {board: 7}
"""


def test_the_tag_of_a_union_is_not_part_of_the_path_even_where_the_device_has_its_name() -> None:
    assert told(CAEN) == [(7, "devices.caen.channels.3.lv.board", "got 7; expected less than or equal to 4")]


def test_a_key_that_is_named_like_the_tag_stays_in_the_path() -> None:
    assert told("devices: {a: {driver: mqtt, mqtt: {board: 1, bord: 2}}}") == [
        (1, "devices.a.mqtt.bord", "unknown key; did you mean board?")
    ]


def test_an_unknown_key_of_an_entry_of_a_list_gets_a_suggestion() -> None:
    assert told("outputs: [{board: 1}, {board: 1, maks: 2}]") == [
        (1, "outputs[1].maks", "unknown key; did you mean mask?")
    ]


def test_the_alternatives_of_a_plain_union_are_one_mistake() -> None:
    ((line, path, said),) = told("devices: {a: {driver: mqtt, mqtt: {board: 1, mask: [1]}}}")
    assert (line, path) == (1, "devices.a.mqtt.mask")
    assert said == "got a list; expected a valid integer, or got a list; expected a valid string"


def test_a_wrong_name_of_a_thing_is_told_at_the_thing() -> None:
    ((line, path, said),) = told("\ndevices:\n  a b: {driver: mqtt}\n")
    assert (line, path) == (3, "devices.a b")
    assert "a name has letters" in said


@pytest.mark.parametrize(
    ("text", "line", "path", "said"),
    [
        ("devices: {a: {driver: can}}", 1, "devices.a.driver", "can is not known; did you mean caen?"),
        ("devices: {a: {driver: xyz}}", 1, "devices.a.driver", "xyz is not known; known here: caen, mqtt"),
        (
            "devices:\n  a:\n    every: 3",
            2,
            "devices.a.driver",
            "is missing; it determines the meaning of the other keys",
        ),
        ("devices:\n  a:\n    driver: mqtt\n    every: 3 m", 4, "devices.a.every", "a duration is a number with one"),
        ("spare:\n  driver: caen\n  channels:\n    1:\n      lv:\n", 5, "spare.channels.1.lv", "is empty; expected"),
        ("spare:\n  driver: caen\n  channels: 3", 3, "spare.channels", "got 3; expected a valid dictionary"),
        (
            "spare:\n  driver: caen\n  channels:\n    1: {lv: {board: 1}, labels: [a,\n 2]}",
            5,
            "spare.channels.1.labels[1]",
            "got 2; expected a valid string",
        ),
    ],
)
def test_each_mistake_has_its_line_and_says_what_was_expected(text: str, line: int, path: str, said: str) -> None:
    ((at, where, message),) = told(text)
    assert (at, where) == (line, path)
    assert message.startswith(said)


def test_under_what_could_not_be_read_nothing_more_is_told() -> None:
    located = parse("devices:\n  a: !include there.yaml\nspare: 3\n", file="x.yaml")
    with pytest.raises(ValidationError) as error:
        Top.model_validate(located.value)
    assert [one.path for one in mistakes(error.value, Top, located)] == ["spare"]
    assert [one.path for one in located.problems] == ["devices.a"]


@pytest.mark.parametrize(
    ("word", "known", "said"),
    [("bord", ["chan", "board"], "; did you mean board?"), ("x", ["a", "b"], "; known here: a, b"), ("x", [], "")],
)
def test_a_slip_of_the_pen_is_recognised(word: str, known: list[str], said: str) -> None:
    assert did_you_mean(word, known) == said


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"),
        ("yes", "yes"),
        ("true", True),
        ("~", None),
        ("", None),
        ("012", 12),
        ("0x1F", 31),
        ("0o17", 15),
        ("0b101", 5),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("-.inf", float("-inf")),
        ("12:30:45", "12:30:45"),
        ("2026-11-22", "2026-11-22"),
        ("1_000", "1_000"),
        ("'3'", "3"),
    ],
)
def test_plain_words_mean_what_yaml_1_2_says(text: str, value: Any) -> None:
    assert parse(f"a: {text}", file="x").value == {"a": value}


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("a: 1\nb: [1\n", 3, "invalid YAML: "),
        ("a: 1\na: 2\n", 2, "key given twice; the first is at line 1"),
        ("a: !!python/name:os.system x\n", 1, "cannot be read as"),
        ("&a [*a]\n", 1, "this alias refers to a value that contains it"),
        ("{[1, 2]: 3}\n", 1, "a key must be a single word or number"),
        ("a:\n  <<: 3\n", 2, "<< needs a mapping"),
        ("a: 1\n--- \nb: 2\n", 2, "invalid YAML: "),
        ("a: one: two\n", 1, "a text with `: ` in it needs quotes"),
        ("a:\n\tb: 1\n", 2, "indent with spaces"),
    ],
)
def test_what_cannot_be_read_is_a_problem_with_a_line_and_never_runs(text: str, line: int, said: str) -> None:
    (problem,) = parse(text, file="x").problems
    assert problem.place == Place("x", line)
    assert said in problem.message
