"""The settings of channels: what is refused, where secrets are read from, and that none stands in the description."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from countingroom.alarms.sections.notify_channels import ChannelSection, HeartbeatSection, MailChannel
from countingroom.core.errors import ConfigurationError
from countingroom.core.yaml.secret_reference import SecretReference, revealed

MAIL: dict[str, Any] = {"server": "smtp.example.org", "from": "cr@example.org", "to": "shift@example.org"}


def problems(**mail: Any) -> list[str]:
    return [text for _, text in MailChannel.model_validate({**MAIL, **mail}).problems()]


@pytest.mark.parametrize(("encryption", "port"), [("starttls", 587), ("tls", 465), ("none", 25)])
def test_each_encryption_has_its_port(encryption: str, port: int) -> None:
    assert MailChannel.model_validate({**MAIL, "encryption": encryption}).used_port == port
    assert MailChannel.model_validate({**MAIL, "encryption": encryption, "port": 2525}).used_port == 2525


@pytest.mark.parametrize(
    "address",
    ["", "shift", "a@b@c", "Anna <a@example.org>", "a@example.org\r\nBcc: x@y", "ä@example.org", "a@x" + "x" * 300],
)
def test_what_is_no_mail_address_is_refused(address: str) -> None:
    with pytest.raises(ValidationError):
        MailChannel.model_validate({**MAIL, "to": [address]})


def test_a_login_is_complete_and_encrypted() -> None:
    password = {"env": "SMTP"}
    assert problems() == []
    assert problems(user="cr", password=password) == []
    assert problems(user="cr") == ["give user and password, or none of them"]
    in_the_clear = ["the password would be sent in the clear; use starttls or tls"]
    assert problems(user="cr", password=password, encryption="none") == in_the_clear
    assert problems(user="cr", password=password, encryption="none", server="localhost") == []


def test_a_password_in_the_description_is_refused() -> None:
    with pytest.raises(ValidationError):
        MailChannel.model_validate({**MAIL, "user": "cr", "password": "s3cret"})
    with pytest.raises(ValidationError):
        ChannelSection.model_validate({"apprise": "tgram://token/chat"})
    with pytest.raises(ValidationError) as refused:
        ChannelSection.model_validate({"webhook": {"address": "https://user:s3cret@example.org"}})
    assert "has no user, password" in str(refused.value)


def test_a_channel_has_one_kind() -> None:
    webhook = {"address": "https://example.org"}
    assert list(ChannelSection.model_validate({"webhook": webhook}).problems()) == []
    assert ChannelSection.model_validate({"webhook": webhook}).kind == "webhook"
    both = ChannelSection.model_validate({"webhook": webhook, "mail": MAIL})
    assert [text for _, text in both.problems()] == [
        "a channel has one of mail, webhook, apprise; this has mail and webhook"
    ]
    assert "this has none" in next(iter(ChannelSection.model_validate({}).problems()))[1]


def test_a_heartbeat_comes_every_10_s_at_most() -> None:
    with pytest.raises(ValidationError):
        HeartbeatSection.model_validate({"address": "https://example.org", "every": "1 s"})
    assert HeartbeatSection.model_validate({"address": {"env": "X"}}).every == 60.0


def test_a_secret_is_the_first_line_of_a_file_or_a_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").write_text("the secret \nmore\n")
    assert SecretReference(file=tmp_path / "secret").read("x") == "the secret"
    monkeypatch.setenv("SECRET", "another")
    assert revealed(SecretReference(env="SECRET"), "x") == "another"
    assert revealed("plain", "x") == "plain"


@pytest.mark.parametrize("content", [None, b"", b"\n", b"  \nx", b"\xff\xfe"])
def test_a_secret_that_cannot_be_read_names_its_place_alone(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError) as refused:
        SecretReference(file=path).read("alarms.notify")
    assert str(path) in refused.value.cause.message
    assert refused.value.cause.code == "no_secret"


@pytest.mark.parametrize("given", [{}, {"file": "a", "env": "B"}])
def test_a_reference_names_one_place(given: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        SecretReference.model_validate(given)
