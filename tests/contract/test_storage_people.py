"""On every database an account outlives its use, a secret works until it is used or revoked, the audit grows."""

from __future__ import annotations

import pytest
from sqlalchemy import create_engine, text

from countingroom.core.accounts import AuditEntry
from countingroom.core.errors import Cause, Conflict, Denied, NotFound, OutOfRange
from countingroom.core.policy import Role
from countingroom.storage.audit import AuditFilter
from countingroom.storage.database import Database
from tests.contract.storage.stand import Stand

ADMINISTRATOR = {"*": Role.ADMINISTRATOR}


async def test_a_role_holds_where_it_was_given(database: Database) -> None:
    await database.users.create("root", "local", roles=ADMINISTRATOR)
    made = await database.users.create("anna", "root", full_name="Anna B", roles={"partition.A": Role.EXPERT})
    assert (made.role("partition.A"), made.role("partition.B"), made.role("*")) == (
        Role.EXPERT,
        Role.VIEWER,
        Role.VIEWER,
    )
    assert (await database.users.grant("anna", "*", Role.SHIFTER)).role("partition.B") is Role.SHIFTER
    assert (await database.users.grant("anna", "partition.A", None)).roles == {"*": Role.SHIFTER}
    assert [one.name for one in await database.users.list()] == ["anna", "root"]
    assert await database.users.get("nobody") is None
    with pytest.raises(Conflict):
        await database.users.create("anna", "root")
    with pytest.raises(OutOfRange):
        await database.users.create("an na", "root")
    with pytest.raises(NotFound):
        await database.users.grant("nobody", "*", None)
    with pytest.raises(NotFound, match="there is no user nobody"):
        await database.sessions.create("nobody", lifetime_s=3600)


async def test_somebody_is_always_left_who_administers(database: Database) -> None:
    await database.users.create("root", "local", roles=ADMINISTRATOR)
    for last in (database.users.grant("root", "*", Role.EXPERT), database.users.disable("root", True, "root")):
        with pytest.raises(Conflict):
            await last
    await database.users.create("second", "root", roles=ADMINISTRATOR)
    assert (await database.users.disable("root", True, "second")).disabled
    with pytest.raises(Conflict):
        await database.users.grant("second", "*", None)
    await database.users.set_password("second", "hash")
    await database.users.create("third", "second", roles=ADMINISTRATOR)
    with pytest.raises(Conflict):
        await database.users.disable("second", True, "third")
    await database.users.set_password("third", "hash")
    await database.users.disable("second", True, "third")


async def test_where_nobody_administers_yet_roles_can_be_given(database: Database) -> None:
    await database.users.create("anna", "local")
    assert (await database.users.grant("anna", "*", Role.SHIFTER)).role("*") is Role.SHIFTER


async def test_a_link_sets_the_password_once(stand: Stand) -> None:
    database = await stand.open()
    await database.users.create("root", "local", roles=ADMINISTRATOR)
    void = await database.users.make_link("root", "local", lifetime_s=60)
    secret = await database.users.make_link("root", "local", lifetime_s=60)
    with pytest.raises(Denied):
        await database.users.use_link(void, "hash1")
    assert (await database.users.use_link(secret, "hash2")).has_password
    with pytest.raises(Denied):
        await database.users.use_link(secret, "hash3")
    assert await database.users.password("root") == "hash2"
    late = await database.users.make_link("root", "local", lifetime_s=60)
    await stand.clock.advance(60)
    with pytest.raises(Denied):
        await database.users.use_link(late, "hash4")


async def test_a_session_holds_until_it_is_over_or_revoked(stand: Stand) -> None:
    database = await stand.open()
    await database.users.create("root", "local", roles=ADMINISTRATOR)
    await database.users.create("anna", "root")
    secrets = {n: await database.sessions.create("anna", lifetime_s=3600, origin="10.0.0.1") for n in range(3)}
    found = await database.sessions.get(secrets[0][0])
    assert found == secrets[0][1]
    assert await database.sessions.get("another") is None
    await stand.clock.advance(90)
    seen = await database.sessions.get(secrets[0][0])
    assert seen is not None
    assert seen.last_seen_ns == stand.clock.now_ns()
    assert await database.sessions.revoke(secrets[1][1].id, "anna")
    assert not await database.sessions.revoke(secrets[1][1].id, "anna")
    assert not await database.sessions.revoke("", "anna")
    assert await database.sessions.get(secrets[1][0]) is None
    assert await database.sessions.revoke_all("anna", "anna", but=secrets[0][1].id) == 1
    assert [one.id for one in await database.sessions.list("anna")] == [secrets[0][1].id]
    await stand.clock.advance(3600)
    assert await database.sessions.get(secrets[0][0]) is None
    assert await database.sessions.forget(stand.clock.now_ns()) == 3


async def test_only_the_newest_logins_of_a_user_are_kept_and_every_token(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("countingroom.storage.sessions.MOST_OF_A_USER", 2)
    database = await stand.open()
    for name in ("anna", "bert"):
        await database.users.create(name, "local")
    made = [await database.sessions.create("bert", lifetime_s=3600)]
    for origin in ("token", "", "", ""):
        await stand.clock.advance(1)
        made.append(await database.sessions.create("anna", lifetime_s=3600, origin=origin))
    found = [await database.sessions.find(secret) for secret, _ in made]
    assert [one is not None for one in found] == [True, True, False, True, True]


async def test_disabling_somebody_ends_sessions_links_and_logins_at_once(database: Database) -> None:
    await database.users.create("root", "local", roles=ADMINISTRATOR)
    await database.users.create("anna", "root")
    await database.users.set_password("anna", "hash")
    secret, _ = await database.sessions.create("anna", lifetime_s=3600)
    link = await database.users.make_link("anna", "root", lifetime_s=3600)
    await database.users.disable("anna", True, "root")
    assert await database.sessions.get(secret) is None
    assert await database.users.password("anna") is None
    with pytest.raises(Denied):
        await database.users.use_link(link, "other")
    await database.users.disable("anna", False, "root")
    assert await database.users.password("anna") == "hash"
    assert await database.sessions.get(secret) is None


async def test_no_secret_is_in_the_database(shared_stand: Stand) -> None:
    database = await shared_stand.open()
    await database.users.create("anna", "local")
    link = await database.users.make_link("anna", "local", lifetime_s=60)
    session, _ = await database.sessions.create("anna", lifetime_s=60)
    engine = create_engine(shared_stand.url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.connect() as connection:
        kept = str([connection.execute(text(f"SELECT * FROM {one}")).all() for one in ("account_link", "session")])
    engine.dispose()
    assert kept.count("anna") == 2
    assert link not in kept
    assert session not in kept


async def test_entries_that_come_again_are_added_once_and_new_ones_in_order(database: Database) -> None:
    cause = Cause(code="denied", message="no")
    entries = [
        AuditEntry(
            time_ns=10 + number, who="anna", what="start", arguments={"n": number}, outcome="refused", cause=cause
        )
        for number in range(4)
    ]
    await database.audit.append(AuditEntry(time_ns=10, who="ben", what="start", outcome="refused"), *entries[:2])
    await database.audit.append_again(*entries)
    await database.audit.append_again(*entries[2:])
    await database.audit.append_again()
    found = await database.audit.find(AuditFilter(who="anna"))
    assert [one.arguments["n"] for one in reversed(found)] == [0, 1, 2, 3]
    assert len(await database.audit.find()) == 5


async def test_the_audit_is_found_by_who_what_where_and_when(database: Database) -> None:
    cause, arguments = Cause(code="denied", message="no"), {"s": 1.5}
    entries = [
        AuditEntry(time_ns=10, who="anna", what="login", origin="10.0.0.1", outcome="accepted"),
        AuditEntry(
            time_ns=20, who="ben", what="start", target="A", arguments=arguments, outcome="refused", cause=cause
        ),
        AuditEntry(time_ns=30, who="anna", what="start", target="A", outcome="accepted"),
    ]
    await database.audit.append(*entries[:2])
    await database.audit.append(entries[2])
    await database.audit.append()

    async def found(wanted: AuditFilter) -> list[int]:
        return [one.sequence for one in await database.audit.find(wanted)]

    (refused,) = await database.audit.find(AuditFilter(outcome="refused"))
    assert (refused.sequence, refused.arguments, refused.cause) == (2, {"s": 1.5}, cause)
    assert await found(AuditFilter()) == [3, 2, 1]
    assert await found(AuditFilter(who="anna", what="start")) == [3]
    assert await found(AuditFilter(target="A", limit=1)) == [3]
    assert await found(AuditFilter(target="A", before=3)) == [2]
    assert await found(AuditFilter(from_ns=10, to_ns=30)) == [2, 1]
