"""Lines of the actor protocol: what is written is read again, and no line of the other side is more than a refusal."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countingroom.core.actor import json_lines, legacy
from countingroom.core.actor.messages import ActorCommand, ActorReply, ActorSyntaxError, MessageCode, Verbatim
from countingroom.core.actor.words import join_words, split_words

names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.]{0,12}", fullmatch=True)
texts = st.text(max_size=20)
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), texts)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=3))
codes = st.sampled_from(MessageCode)
numbers = st.integers(0, 10**18 - 1)


@given(st.dictionaries(names, st.lists(texts, max_size=4), max_size=5), codes, numbers, st.integers(0, 99))
def test_a_legacy_reply_is_read_as_it_was_written(
    keywords: dict[str, list[str]], code: MessageCode, number: int, user: int
) -> None:
    line = legacy.format_reply(ActorReply(code=code, keywords=keywords, command_id=number, commander=str(user)))
    assert len(line.splitlines()) == 1
    line.encode()
    read = legacy.parse_reply(line)
    assert (read.code, read.command_id, read.commander) == (code, number, str(user))
    # A single empty text and no text at all are both a bare keyword.
    assert read.keywords == {name: () if texts == [""] else tuple(texts) for name, texts in keywords.items()}


@given(st.dictionaries(names, values, max_size=4), codes, numbers, names, st.booleans())
def test_a_json_reply_is_read_as_it_was_written(
    keywords: dict[str, Any], code: MessageCode, number: int, sender: str, multiline: bool
) -> None:
    reply = ActorReply(code=code, keywords=keywords, command_id=number, commander="u", sender=sender)
    line = json_lines.format_reply(reply, multiline=multiline)
    assert multiline or "\n" not in line
    assert json_lines.parse_reply(line) == reply
    legacy.parse_reply(legacy.format_reply(ActorReply(code=code, keywords=keywords, command_id=number)))


@given(st.lists(texts, max_size=5))
def test_words_of_a_body_are_read_as_they_were_written(words: list[str]) -> None:
    assert split_words(join_words(words)) == words


@given(names.filter(lambda name: "." not in name), texts, numbers, st.sampled_from(["", "APO.Jose", ".x_1"]))
def test_a_command_is_read_as_it_was_written(verb: str, rest: str, number: int, commander: str) -> None:
    command = ActorCommand(body=f"{verb} {rest}".strip(), id=number, commander=commander)
    try:
        line = legacy.format_command(command)
    except ActorSyntaxError:
        assert {"\n", "\r"} & set(command.body)
        return
    assert legacy.parse_command(line) == command
    assert json_lines.parse_command(json_lines.format_command(command)) == ActorCommand(body=command.body, id=number)


@given(st.text() | st.text(alphabet="aT1 .=,;'\"\\>:f{}[]") | values.map(json.dumps))
def test_a_line_of_the_other_side_is_read_or_refused(line: str) -> None:
    for read in (legacy.parse_command, legacy.parse_reply, legacy.parse_tron_reply, legacy.parse_keywords):
        _read_or_refuse(read, line)
    for read in (json_lines.parse_command, json_lines.parse_reply, json_lines.parse_body, split_words):
        _read_or_refuse(read, line)


def _read_or_refuse(read: Any, line: str) -> None:
    try:
        read(line)
    except ActorSyntaxError as error:
        assert len(error.cause.message) < 400


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("ping", ActorCommand(body="ping")),
        ("12 ping", ActorCommand(body="ping", id=12)),
        ("12 7 status --all", ActorCommand(body="status --all", id=12)),
        ("APO.Jose 12 talk expose 2", ActorCommand(body="talk expose 2", id=12, commander="APO.Jose")),
        ("3 --help", ActorCommand(body="--help", id=3)),
        ("  ", None),
    ],
)
def test_a_legacy_command_is_read_as_clu_reads_it(line: str, command: ActorCommand | None) -> None:
    assert legacy.parse_command(line) == command


@pytest.mark.parametrize("line", ["12", "5 6", "-1 ping", "'ping"])
def test_what_is_no_legacy_command_is_refused_as_clu_refuses_it(line: str) -> None:
    with pytest.raises(ActorSyntaxError, match="could not parse command"):
        legacy.parse_command(line)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "T"),
        (None, "None"),
        ([1, 2.5, "a"], "1,2.5,a"),
        ({"camera": "gfa1", "filename": "/data/a.fits"}, "gfa1,/data/a.fits"),
        ("two words", '"two words"'),
        ("a;b", '"a;b"'),
        ("", ""),
        (["", "a"], '"",a'),
        (Verbatim("'0.7.0'"), "'0.7.0'"),
        ({"a": {"b": 1, "c": [2, 3]}}, "1,2,3"),
    ],
)
def test_a_value_is_written_as_clu_writes_it(value: Any, text: str) -> None:
    assert legacy.format_value(value) == text


def test_replies_of_actors_are_read() -> None:
    assert legacy.format_reply(ActorReply(code=MessageCode.STARTED, command_id=2, commander="1")) == "1 2 > "
    hello = legacy.parse_reply("1 0 i yourUserID=1; num_users=1")
    assert hello.keywords == {"yourUserID": ("1",), "num_users": ("1",)} and not hello.code.is_final
    assert legacy.parse_reply("0 0 f error=\"Could not parse command '5'\"").keywords["error"] == (
        "Could not parse command '5'",
    )
    told = legacy.parse_tron_reply(".apo 14 fliswarm : filename_bundle='/a b',c; ready")
    assert (told.sender, told.command_id, told.commander) == ("fliswarm", 14, ".apo") and told.code.is_final
    assert told.keywords == {"filename_bundle": ("/a b", "c"), "ready": ()}


def test_a_quote_without_its_end_is_an_error_of_its_line() -> None:
    for read, text in ((split_words, 'keyword "abc'), (legacy.parse_keywords, 'text="abc')):
        with pytest.raises(ActorSyntaxError) as told:
            read(text)
        assert told.value.cause.code == "unterminated_quote"


def test_a_json_body_names_its_command() -> None:
    assert json_lines.parse_body('{"command": "expose", "seconds": 2}') == ("expose", {"seconds": 2})
    for wrong in ("expose", "[1]", '{"seconds": 2}', '{"command": 3}'):
        with pytest.raises(ActorSyntaxError):
            json_lines.parse_body(wrong)
