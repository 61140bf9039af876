"""The client of an actor, in virtual time: its replies by number, its deadlines, lost connections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from countingroom.core.actor.messages import ActorCommand, ActorReply, ActorSyntaxError, MessageCode
from countingroom.core.clock import SystemClock
from countingroom.core.errors import CountingRoomError, DeviceError, LinkError
from countingroom.fleet.actors.client import ActorAddress, ActorClient
from countingroom.fleet.actors.link import dial
from countingroom.testing.clock import FakeClock
from countingroom.testing.fake_actor import FakeActor
from tests.patience import PATIENCE_S


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=["json", "legacy"])
def actor(request: pytest.FixtureRequest) -> FakeActor:
    return FakeActor(form=request.param)


@pytest.fixture
async def client(clock: FakeClock, actor: FakeActor) -> AsyncGenerator[ActorClient]:
    made = ActorClient(clock, actor.dial, ActorAddress("gfa1", 19991, actor.form))
    yield made
    await made.close()


async def test_replies_are_told_until_the_last_and_belong_to_their_command(
    client: ActorClient, actor: FakeActor, clock: FakeClock
) -> None:
    told: list[tuple[str, str]] = []
    first = asyncio.create_task(client.command("expose 2", 10, lambda one: told.append(("first", one.code))))
    second = asyncio.create_task(client.command("status", 10, lambda one: told.append(("second", one.code))))
    await clock.advance(0.1)
    expose, status = actor.received
    assert expose.id != status.id and actor.dialled == 1 and client.open == 2
    for command, code in ((expose, ">"), (status, "i"), (expose, "i"), (status, ":"), (expose, ":")):
        actor.reply(command, MessageCode(code), text="said")
    await clock.advance(0.1)
    assert (await first).code == (await second).code == MessageCode.DONE
    assert [code for whose, code in told if whose == "first"] == [">", "i", ":"]
    assert [code for whose, code in told if whose == "second"] == ["i", ":"]
    assert client.open == 0


async def test_a_failure_is_told_with_the_last_error(client: ActorClient, actor: FakeActor, clock: FakeClock) -> None:
    def fail(command: ActorCommand, actor: FakeActor) -> None:
        actor.reply(command, MessageCode.ERROR, error="no disk")
        actor.reply(command, MessageCode.FAILED)

    actor.does = fail
    with pytest.raises(DeviceError, match="no disk"):
        await outcome(clock, client, "expose")


async def test_what_is_no_command_is_not_sent(client: ActorClient, actor: FakeActor) -> None:
    for body in ('say "abc', "ping\nping", "-1 ping", "7", "", "  "):
        with pytest.raises(ActorSyntaxError):
            await client.command(body, 1.0)
    assert not actor.received


async def test_an_actor_that_hangs_ends_the_command_at_its_deadline_and_is_connected_anew(
    client: ActorClient, actor: FakeActor, clock: FakeClock
) -> None:
    actor.hangs = True
    with pytest.raises(LinkError) as told:
        await outcome(clock, client, "ping")
    assert told.value.cause.code == "timeout" and client.open == 0
    actor.hangs = False
    assert (await outcome(clock, client, "ping")).code is MessageCode.DONE
    assert actor.dialled == 2


async def test_a_deadline_of_one_command_leaves_the_others(
    client: ActorClient, actor: FakeActor, clock: FakeClock
) -> None:
    long = asyncio.create_task(client.command("expose 60", 100))
    await clock.advance(0.1)
    actor.hangs = True
    with pytest.raises(LinkError):
        await outcome(clock, client, "status")
    actor.reply(actor.received[0], MessageCode.DONE)
    await clock.advance(0.1)
    assert (await long).code is MessageCode.DONE and actor.dialled == 1


async def test_an_actor_that_dies_ends_its_commands_at_once(
    client: ActorClient, actor: FakeActor, clock: FakeClock
) -> None:
    commands = [asyncio.create_task(client.command(f"expose {number}", 100)) for number in range(3)]
    await clock.advance(0.1)
    actor.die()
    await clock.advance(0.0)
    for one in commands:
        with pytest.raises(LinkError) as told:
            await one
        assert told.value.cause.code == "connection_lost"
    with pytest.raises(LinkError, match="not reached"):
        await outcome(clock, client, "ping")
    actor.is_dead = False
    assert (await outcome(clock, client, "ping")).code is MessageCode.DONE


async def test_lines_that_are_not_replies_and_replies_to_others_are_left_out(
    client: ActorClient, actor: FakeActor, clock: FakeClock
) -> None:
    def answer(command: ActorCommand, actor: FakeActor) -> None:
        for line in ("", "{", "no reply", '{"header": {}, "data": {}}', "\x00"):
            actor.write(line)
        if actor.form == "legacy":
            actor.say(ActorReply(code=MessageCode.FAILED, command_id=command.id, commander="0"))
        actor.say(ActorReply(code=MessageCode.FAILED, command_id=command.id + 1, commander="2"))
        actor.reply(command, MessageCode.DONE)

    actor.does = answer
    assert (await outcome(clock, client, "status")).code is MessageCode.DONE


async def outcome(clock: FakeClock, client: ActorClient, body: str) -> ActorReply:
    task = asyncio.create_task(client.command(body, 5.0))
    await clock.advance(5.1)
    return await task


async def test_an_actor_is_reached_over_tcp() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            number, _, body = line.decode().strip().partition(" ")
            if body == "leave":
                writer.write(b"1 half a line")
                break
            if body == "chatter":
                writer.write(b"x" * (1 << 21))
            writer.write(f"1 {number} i text={body}\r\n1 {number} :\n".encode())
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port: int = server.sockets[0].getsockname()[1]
    client = ActorClient(SystemClock(), dial, ActorAddress("127.0.0.1", port, "legacy"))
    said: list[ActorReply] = []
    try:
        for body, error in (("status", ""), ("leave", "closed the connection"), ("chatter", "a line of more than")):
            try:
                await client.command(body, PATIENCE_S, said.append)
                assert not error
            except CountingRoomError as told:
                assert error and error in told.cause.message
    finally:
        await client.close()
        server.close()
        await server.wait_closed()
    assert said[0].keywords == {"text": ("status",)} and len(said) == 2
    with pytest.raises(LinkError, match="is not reached: Connection refused"):
        await client.command("ping", PATIENCE_S)
