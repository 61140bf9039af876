"""Version 3 of SNMP: the agent says which one it is and its time; answers that are not protected are none."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from countingroom.core.errors import ConfigurationError, LinkError
from countingroom.core.snmp import ber, usm
from countingroom.core.snmp.ber import BerError, Oid
from countingroom.core.snmp.pdu import GET, REPORT, RESPONSE, Pdu, Varbind, asked
from countingroom.core.snmp.usm import Keys, V3Message
from countingroom.devices.drivers.snmp.description import SnmpSection
from countingroom.devices.drivers.snmp.security import UserSecurity

OID: Oid = (1, 3, 6, 1, 2, 1, 1, 3, 0)
PASSWORD = "a long password"
ENGINE = b"\x80\x00\x1f\x88agent"


class Agent:
    """An agent with one user, whose messages are signed."""

    def __init__(self, engine_id: bytes = ENGINE) -> None:
        self.engine_id = engine_id
        self.boots = 7
        self.time_s = 1000
        key = usm.password_key(PASSWORD, "SHA-256")
        self.keys = Keys("SHA-256", usm.localized(key, engine_id, "SHA-256"))

    def answer(self, data: bytes) -> bytes:
        asked_for = usm.decode(data)
        if asked_for.engine_id != self.engine_id:
            return self.report(asked_for, usm.UNKNOWN_ENGINE, Keys())
        if not usm.is_genuine(data, asked_for, self.keys):
            return self.report(asked_for, usm.WRONG_DIGEST, Keys())
        if asked_for.boots != self.boots or abs(asked_for.time_s - self.time_s) > 150:
            return self.report(asked_for, usm.NOT_IN_TIME_WINDOW, self.keys)
        return usm.encode(self.message(asked_for), self.keys)

    def message(self, asked_for: V3Message) -> V3Message:
        assert asked_for.pdu is not None
        said = Pdu(RESPONSE, asked_for.pdu.request_id, (Varbind(OID, ber.TIME_TICKS, 5),))
        engine = self.engine_id
        return V3Message(asked_for.message_id, said, 0, engine, self.boots, self.time_s, asked_for.user)

    def report(self, asked_for: V3Message, what: Oid, keys: Keys) -> bytes:
        said = Pdu(REPORT, 0, (Varbind(what, ber.COUNTER32, 1),))
        return usm.encode(replace(self.message(asked_for), pdu=said), keys)


def _security(monkeypatch: pytest.MonkeyPatch, password: str = PASSWORD, **keys: Any) -> UserSecurity:
    monkeypatch.setenv("PASSWORD", password)
    described = {
        "driver": "snmp",
        "host": "ups.lab",
        "version": 3,
        "user": "reader",
        "authentication": "SHA-256",
        "password": {"env": "PASSWORD"},
        "values": {"uptime": {"oid": ber.dotted(OID)}},
    }
    return UserSecurity(SnmpSection.model_validate({**described, **keys}), "ups.lab:161")


def _ask(security: UserSecurity, agent: Agent) -> list[str]:
    """What came, until the answer to a question."""
    came: list[str] = []
    for number in range(1, 6):
        answer = security.opened(agent.answer(security.wrapped(Pdu(GET, number, asked([OID])))), number)
        assert answer is not None
        if answer.kind == RESPONSE:
            assert answer.varbinds[0].value == 5
            return [*came, "answer"]
        came.append({usm.UNKNOWN_ENGINE: "engine", usm.NOT_IN_TIME_WINDOW: "time"}.get(answer.varbinds[0].oid, "other"))
        security.adopt(answer)
    return came


def test_the_agent_is_asked_which_one_it_is_and_its_time_is_taken_over(monkeypatch: pytest.MonkeyPatch) -> None:
    security, agent = _security(monkeypatch), Agent()
    assert _ask(security, agent) == ["engine", "answer"]
    agent.time_s += 140
    assert _ask(security, agent) == ["answer"]
    agent.time_s += 140  # each answer brings the time
    assert _ask(security, agent) == ["answer"]
    agent.time_s += 1000
    assert _ask(security, agent) == ["time", "answer"]
    agent.boots += 1
    agent.time_s = 3
    assert _ask(security, agent) == ["time", "answer"]
    assert _ask(security, Agent(b"\x80\x00\x1f\x88other")) == ["engine", "answer"]  # it was replaced


def test_a_wrong_password_is_told_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    security = _security(monkeypatch, "another password")
    with pytest.raises(LinkError) as refused:
        _ask(security, Agent())
    assert refused.value.cause.code == "wrong_credentials" and "`password`" in refused.value.cause.suggestion
    assert "another password" not in str(refused.value.cause)
    with pytest.raises(ConfigurationError, match="less than 8 characters"):
        _security(monkeypatch, "short")
    monkeypatch.delenv("PASSWORD")
    with pytest.raises(ConfigurationError):
        _security(monkeypatch, "")


def test_an_answer_that_is_not_protected_or_of_another_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    security, agent = _security(monkeypatch), Agent()
    _ask(security, agent)
    question = usm.decode(security.wrapped(Pdu(GET, 50, asked([OID]))))
    right = agent.message(question)
    genuine = usm.encode(right, agent.keys)
    answer = security.opened(genuine, 50)
    assert answer is not None and answer.kind == RESPONSE
    assert security.opened(genuine, 51) is None  # late
    changed = bytearray(genuine)
    changed[-1] ^= 1
    wrong = {
        "the signature of the answer is wrong": bytes(changed),
        "not protected": usm.encode(right, Keys()),
        "another agent or user": usm.encode(replace(right, user=b"writer"), agent.keys),
    }
    for told, data in wrong.items():
        with pytest.raises(BerError, match=told):
            security.opened(data, 50)
    other = usm.encode(replace(right, engine_id=b"\x80\x00\x1f\x88other"), agent.keys)
    with pytest.raises(BerError, match="another agent or user"):
        security.opened(other, 50)


@pytest.mark.parametrize(
    ("what", "told"),
    [
        (usm.UNKNOWN_USER, "does not know the user reader"),
        (usm.UNSUPPORTED_LEVEL, "does not take messages that are signed and not encrypted from the user reader"),
        (usm.DECRYPTION_ERROR, "cannot decrypt what it gets from the user reader"),
        ((1, 3, 6, 1), "sends a report that is not known for the user reader"),
    ],
)
def test_a_refusal_says_what_to_look_at(monkeypatch: pytest.MonkeyPatch, what: Oid, told: str) -> None:
    security = _security(monkeypatch)
    with pytest.raises(LinkError) as refused:
        security.adopt(Pdu(REPORT, 0, (Varbind(what, ber.COUNTER32, 1),)))
    assert told in refused.value.cause.message and refused.value.cause.suggestion
