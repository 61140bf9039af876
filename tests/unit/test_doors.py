"""A door answers as CLU does, and no line, connection or slow reader of one client harms another."""

from __future__ import annotations

import asyncio
import gc
import json

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from countingroom.core.actor import legacy
from countingroom.core.actor.messages import ActorSyntaxError
from countingroom.core.errors import Cause
from countingroom.core.fleet.observed import Health
from countingroom.core.fleet.record import SetAside
from countingroom.doors import connection, door
from countingroom.doors.grammar import Grammar, GrammarError
from countingroom.doors.keywords import SCHEMA
from tests.patience import PATIENCE_S
from tests.unit.door_stand import camera, doors

PONG = ["> ", ": text=Pong."]


async def test_a_user_is_greeted_with_its_number_all_users_and_the_version() -> None:
    async with doors() as stand:
        first = await stand.client(greeted=False)
        assert await first.lines(3) == [
            "1 0 i yourUserID=1; num_users=1",
            "0 0 i UserInfo=1,127.0.0.1",
            "1 0 i version='1.2'",
        ]
        await stand.client()
        assert (await first.lines(4))[:1] == ["2 0 i yourUserID=2; num_users=2"]


async def test_the_status_is_told_to_all_now_and_then_where_it_is_wanted() -> None:
    async with doors(fliswarm={"status_every": "300 s"}, plain={"protocol": "json", "status_every": "300 s"}) as stand:
        users = [await stand.client(), await stand.client()]
        plain = await stand.client("plain", greeted=False)
        while "UserInfo=2" not in await users[0].line():
            pass
        await users[0].line()
        await stand.clock.advance(300)
        for user in users:
            begun, enabled, *rest = await user.lines(9)
            assert (begun, enabled) == ("0 0 > ", "0 0 i enabledNodes=gfa1,gfa2,gfa10")
            assert rest[-1] == "0 0 : " and all(
                line.startswith(("0 0 i node=", "0 0 d container=")) for line in rest[:-1]
            )
        codes = [json.loads(await plain.line())["header"]["message_code"] for _ in range(9)]
        assert codes[0] == ">" and codes[-1] == ":"


async def test_a_user_that_has_left_counts_no_more() -> None:
    async with doors() as stand:
        first = await stand.client()
        first.send('1 status "a')  # CLU dropped such a connection and counted it on
        first.close()
        await first.writer.wait_closed()
        for _ in range(100):
            await asyncio.sleep(0)
        second = await stand.client(greeted=False)
        assert (await second.line()).endswith("num_users=1")


async def test_many_connections_of_a_neighbour_cost_the_others_little(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each new user was told to all, with all users: 256 connections took 6 s and filled the buffers of the others."""
    monkeypatch.setattr(door, "MOST_OF_HOST", 24)
    async with doors() as stand:
        first = await stand.client()
        others = [await stand.client(greeted=False) for _ in range(23)]
        greeting = await others[-1].lines(26)
        assert greeting[0] == "24 0 i yourUserID=24; num_users=24" and greeting[-1] == "24 0 i version='1.2'"
        refused = await stand.client(greeted=False)
        assert await refused.lines(2) == ['0 0 f error="24 clients of 127.0.0.1 are connected already"', ""]
        *told, begun, pong = await first.ask("ping")
        assert [begun, pong] == PONG
        assert told[-1] == "i version='1.2'" and "i yourUserID=16; num_users=16" in told, "as CLU does for few"
        assert not any("yourUserID=17" in line for line in told)
        others[0].close()
        await others[0].writer.wait_closed()
        for _ in range(100):
            await asyncio.sleep(0)
        assert "num_users=24" in await (await stand.client(greeted=False)).line()


@pytest.mark.parametrize(
    ("line", "replies"),
    [
        ("ping", PONG),
        ("PING.me 7 ping", PONG),
        ("version", ["> ", ": version=1.2"]),
        (
            "foo",
            [
                "> ",
                "w help=\"NoSuchCommand: No such command 'foo'.\"",
                "f error=\"Command 'foo' does not exist or cannot be parsed.\"",
            ],
        ),
        ("help nope", ["> ", 'w text="see help"', 'f error="command nope not found."']),
        ("keyword nope", ["> ", "f error=\"Keyword 'nope' is not part of the data model.\""]),
    ],
)
async def test_commands_of_clu_are_answered_as_it_does(line: str, replies: list[str]) -> None:
    async with doors() as stand:
        client = await stand.client()
        client.send(line if " 7 " in line else f"7 {line}")
        assert await client.lines(len(replies)) == [f"1 7 {reply}" for reply in replies]


async def test_help_names_every_command_and_each_has_a_model() -> None:
    async with doors() as stand:
        client = await stand.client()
        text = await client.ask("help")
        names = [line.split()[2] for line in text if line.startswith('w help="  ') and "--help" not in line]
        assert {"ping", "version", "help", "get_schema", "keyword", "get-command-model", "status"} <= set(names)
        for name in names:
            assert (await client.ask(f"{name} --help"))[1] == (await client.ask(f"help {name}"))[1]
            [_, reply] = await client.ask(f"get-command-model {name}")
            [model] = legacy.parse_keywords(reply[2:])["command_model"]
            assert json.loads(model)["name"] == name


async def test_status_tells_enabled_nodes_and_what_runs_there() -> None:
    async with doors() as stand:
        aside = SetAside(reason="fan", by="anna", since_ns=0)
        await stand.node("gfa2", cordon=aside)
        gone = Cause(code="link_lost", message="it does not answer")
        await stand.node("gfa10", is_reachable=False, cause=gone, url="tcp://sdss-gfa10:2376")
        await stand.service_state("camera", camera("gfa1"), camera("gfa10", is_known=False))
        await stand.clock.advance(1)
        client = await stand.client()
        assert await client.ask("status") == [
            "> ",
            "i enabledNodes=gfa1,gfa10",
            "i node=gfa1,sdss-gfa1,NA,T,T",
            "d container=gfa1,gfa1-0123456",
            'w text="Node sdss-gfa10 is not pinging back."',
            "i node=gfa10,sdss-gfa10,tcp://sdss-gfa10:2376,F,F",
            'w text="gfa10: it does not answer"',
            ": ",
        ]
        await stand.service_state("camera", camera("gfa1", Health.EXITED))
        assert 'w text="No containers running on sdss-gfa1."' in await client.ask("status")
        await stand.service_state("camera", camera("gfa1", None), volumes={"data": ":/data"})
        replies = await client.ask("status")
        assert 'w text="Volume data not present in gfa1."' in replies and "d volume=gfa1,data,F,NA" in replies


async def test_status_says_when_nothing_is_known_for_sure() -> None:
    async with doors() as stand:
        client = await stand.client()
        stand.own.cut()
        replies = await client.ask("status")
        assert replies[1] == 'w text="The bus is not reached: what is told may be old."' and replies[-1] == ": "


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (b'1 status "a\n', "ends in a quote"),
        (b"1 " + b"x" * connection.LONGEST_LINE + b"\n", "longer than"),
        (b"x" * 3 * connection.LONGEST_LINE + b"\n", "longer than"),
        (b"1 ping \xff\n", "no UTF-8"),
        (b"?? x\n", "Could not parse command '?? x'"),
        (b"5\n", "Could not parse command '5'"),
        (b"1 get-command-model nope\n", "Cannot find command nope."),
        (b"1 keyword\n", "does not exist or cannot be parsed"),
    ],
)
async def test_a_bad_line_is_refused_alone(line: bytes, error: str) -> None:
    async with doors() as stand:
        client, other = await stand.client(), await stand.client()
        await client.lines(4)
        client.writer.write(line)
        replies: list[str] = []
        while " f error=" not in (reply := await client.line()):
            replies.append(reply)
        error = "cannot be read" if error == "ends in a quote" else error
        assert error in reply
        assert await client.ask("ping") == PONG
        assert await other.ask("ping") == PONG
        assert stand.door().open_commands == 0


async def test_empty_lines_have_no_answer_and_what_is_sent_before_the_end_is_answered() -> None:
    async with doors() as stand:
        client = await stand.client()
        client.send("", "  ", *(f"{number} ping" for number in range(1, 301)))
        client.writer.write_eof()  # as of `nc`
        lines = await client.lines(601)
        assert lines[-3:] == ["1 300 > ", "1 300 : text=Pong.", ""]


async def test_a_reader_that_does_not_read_is_dropped_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "UNREAD_S", 0.05)
    async with doors() as stand:
        slow, other = await stand.client(), await stand.client()
        with pytest.raises(ConnectionError):
            while True:
                slow.send(*["1 get_schema"] * 500)
                await asyncio.wait_for(slow.writer.drain(), PATIENCE_S)
        assert await other.ask("ping") == PONG


async def test_only_hosts_of_the_description_may_connect() -> None:
    async with doors(fliswarm={"hosts": ["10.0.0.0/8"]}) as stand:
        client = await stand.client(greeted=False)
        assert await client.lines(2) == ['0 0 f error="127.0.0.1 may not connect here"', ""]


async def test_json_replies_have_head_and_data_and_fit_the_schema() -> None:
    async with doors(camera={"protocol": "json"}) as stand:
        client = await stand.client("camera", greeted=False)
        client.send("3 ping")
        first, last = (json.loads(line) for line in await client.lines(2))
        head = {"command_id": 3, "commander_id": first["header"]["commander_id"], "sender": "camera"}
        assert first == {"header": head | {"message_code": ">", "internal": True}, "data": {}}
        assert last == {"header": head | {"message_code": ":", "internal": False}, "data": {"text": "Pong."}}
        client.send("4 multiline", "5 multiline --off")
        text = ""
        while "Multiline mode is off" not in text:
            text += f"{await client.line()}\n"
        assert '\n        "text": "Multiline mode is on"\n' in text
        names = Grammar("camera", is_json=True).help()
        refused = ("disable", "enable", "reboot", "simulate", "talk")
        for name in (line.split()[0] for line in names if line.startswith("  ") and "--" not in line):
            client.send(
                f"9 {name} node" if name == "keyword" else f"9 {name} --off" if name == "multiline" else f"9 {name}"
            )
            while (reply := json.loads(await client.line()))["header"]["message_code"] not in ":f":
                jsonschema.validate(reply["data"], SCHEMA)
            jsonschema.validate(reply["data"], SCHEMA)
            assert (reply["header"]["message_code"] == ":") == (name not in refused), reply


_WORDS = st.sampled_from(
    ["ping", "status", "help", "-n", "--help", "gfa1", '"', "'", "\\", "a b", "-1", "", "1", "keyword", "\x00", "é"]
)


@settings(max_examples=60, deadline=None)
@given(st.lists(_WORDS | st.text(max_size=8), max_size=5), st.booleans())
def test_every_body_is_read_or_refused(words: list[str], is_json: bool) -> None:
    grammar = Grammar("fliswarm", is_json=is_json)
    try:
        command = legacy.parse_command(" ".join(["ping", *words]))
    except ActorSyntaxError:
        return
    assert command
    try:
        assert grammar.parse(command.body).name
    except (GrammarError, ActorSyntaxError) as error:
        assert error.cause.message


async def test_memory_stays_flat_over_many_commands() -> None:
    async with doors() as stand:
        client = await stand.client()

        async def many(count: int) -> None:
            for _ in range(count // 500):
                client.send(*["1 ping", "2 help ping", '3 status "', "4 foo", "5 version"] * 100)
                await client.lines(100 * (2 + 8 + 3 + 3 + 2))

        await many(1000)
        gc.collect()
        before = len(gc.get_objects())
        await many(1000)
        gc.collect()
        assert len(gc.get_objects()) - before < 200
