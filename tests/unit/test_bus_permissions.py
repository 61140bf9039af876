"""Permissions on the bus follow from the departments' table and the description."""

from __future__ import annotations

from pathlib import Path

import pytest

from countingroom.app import bus_users
from countingroom.bus.server.permissions import BusUser, granted
from countingroom.core.bus_grants import BusGrants
from countingroom.experiment import load

DEMO = load(Path(__file__).parents[2] / "examples" / "demo" / "experiment.yaml")


def test_a_user_without_grants_reads_the_state_and_its_own_answers_only() -> None:
    user = granted("reader", BusGrants())
    assert user.subscribe == ("_INBOX.reader.>",)
    assert {subject for subject in user.publish if ".KV_state" not in subject} == {"_INBOX.reader.>"}


@pytest.mark.parametrize("user", bus_users.users(DEMO), ids=lambda user: user.name)
def test_no_user_may_do_everything_or_hear_the_answers_to_others(user: BusUser) -> None:
    assert ">" not in (*user.publish, *user.subscribe)
    assert [subject for subject in user.subscribe if subject.startswith("_INBOX")] == [f"_INBOX.{user.name}.>"]
    assert not [subject for subject in user.publish if "STREAM.DELETE" in subject or "STREAM.PURGE" in subject]


def test_each_role_and_each_system_has_a_user_of_its_own() -> None:
    names = [user.name for user in bus_users.users(DEMO)]
    assert len(names) == len(set(names))
    assert {"console", "runs", "devices", "history", "agents", "simulators", "agent-TRD"} <= set(names)


def test_the_user_of_a_connection_is_that_of_its_role_or_system() -> None:
    assert bus_users.of_connection("agent.TRD.b00t", ["agents"]) == "agent-TRD"
    assert bus_users.of_connection("agents", ["agents"]) == "agents"
    assert bus_users.of_roles(["history", "console"]) == "supervisor"
