"""A mail about an alarm: headers for threads and robots, encryption, login, receivers that are refused."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from countingroom.alarms.notify.mail import MailSender, mail_of
from countingroom.alarms.notify.sender import Delivery, TryOutcome
from countingroom.alarms.sections.notify_channels import MailChannel
from countingroom.core.notify.messages import Notification, NotificationKind, notification_id
from tests.notify_servers import MailServer

PASSWORD = "pass word %41"
MESSAGE = Notification(
    id=notification_id("second"),
    thread_id=notification_id("first"),
    channel="mail",
    kind=NotificationKind.REMINDER,
    title="Kühler / Bad: 37,5 °C " + "sehr lang " * 30,
    text="Das Bad ist zu warm.\n" + "x" * 3000,
    priority=1,
    created_ns=1_800_000_000_000_000_000,
    due_ns=0,
    expires_ns=2**62,
)


def section(port: int, **changes: Any) -> MailChannel:
    plain = {
        "server": "127.0.0.1",
        "port": port,
        "encryption": "none",
        "from": "cr@control.example.org",
        "to": ["anna@example.org", "ben@example.org"],
    }
    return MailChannel.model_validate({**plain, **changes})


def send(server: MailServer, message: Notification = MESSAGE, **changes: Any) -> Delivery:
    return MailSender(section(server.port, **changes), 5.0).send(message, lambda: True)


@pytest.fixture
def server() -> Iterator[MailServer]:
    with MailServer().running() as one:
        yield one


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(folder / "key"), "-out", str(folder / "cert")]
    subprocess.run(command, check=True, capture_output=True)
    return folder / "cert"


@contextmanager
def encrypted(certificate: Path, **options: Any) -> Generator[MailServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_name("key"))
    with MailServer(context, **options).running() as one:
        yield one


def test_a_mail_has_the_headers_that_threads_and_robots_need(server: MailServer) -> None:
    assert send(server).outcome is TryOutcome.ACCEPTED
    (mail,) = server.mails
    told = mail.message
    assert told["Message-ID"] == f"<{MESSAGE.id}@control.example.org>"
    assert told["References"] == told["In-Reply-To"] == f"<{MESSAGE.thread_id}@control.example.org>"
    assert told["Auto-Submitted"] == "auto-generated"
    assert told["Importance"] == "high"
    assert told["X-Countingroom-Repeat"] is None
    assert str(told["Subject"]).startswith("Kühler / Bad: 37,5 °C sehr lang")
    assert told.get_content().replace("\r", "").startswith("Das Bad ist zu warm.\nxxx")
    assert mail.to == ["anna@example.org", "ben@example.org"]


def test_the_first_mail_of_an_occurrence_refers_to_none() -> None:
    first = structs.replace(MESSAGE, thread_id=MESSAGE.id)
    assert mail_of(first, section(25))["References"] is None


def test_no_line_of_a_mail_is_longer_than_mail_allows() -> None:
    text = mail_of(structs.replace(MESSAGE, id="a" * 100), section(25)).as_bytes()
    assert max(map(len, text.split(b"\r\n"))) < 998
    assert f"<{'a' * 100}@control.example.org>".encode() in text


@pytest.mark.parametrize("evil", ["\r\nBcc: evil@example.org", "\nBcc: evil@example.org", "\r\n\r\nbody", "\x00\u202e"])
def test_a_title_adds_no_header(server: MailServer, evil: str) -> None:
    assert send(server, structs.replace(MESSAGE, title=f"x{evil}", text=f"y{evil}")).outcome is TryOutcome.ACCEPTED
    (mail,) = server.mails
    assert mail.message["Bcc"] is None
    assert mail.to == ["anna@example.org", "ben@example.org"]
    assert str(mail.message["Subject"]).startswith("x\\u")


def test_an_identity_with_a_line_end_is_refused_before_anything_is_sent(server: MailServer) -> None:
    with pytest.raises(ValueError, match="identity"):
        send(server, structs.replace(MESSAGE, id="x\r\nBcc: evil@example.org"))
    assert server.mails == []


@pytest.mark.parametrize("encryption", ["starttls", "tls"])
def test_the_password_is_sent_encrypted_only(certificate: Path, tmp_path: Path, encryption: str) -> None:
    (tmp_path / "password").write_text(PASSWORD)
    login: dict[str, Any] = {"user": "cr", "password": {"file": tmp_path / "password"}}
    with encrypted(certificate, from_begin=encryption == "tls", login=("cr", PASSWORD)) as server:
        found = send(server, encryption=encryption, tls_ca=certificate, **login)
        assert (found.outcome, [one.is_encrypted for one in server.mails]) == (TryOutcome.ACCEPTED, [True])
        assert server.user == "cr"


def test_a_wrong_password_is_told_without_it(certificate: Path, tmp_path: Path) -> None:
    (tmp_path / "password").write_text(PASSWORD)
    login: dict[str, Any] = {"user": "cr", "password": {"file": tmp_path / "password"}}
    with encrypted(certificate, login=("cr", "other")) as server:
        found = send(server, encryption="starttls", tls_ca=certificate, **login)
    assert found.outcome is TryOutcome.REFUSED
    assert "refuses the login of cr: 535" in found.text
    assert PASSWORD not in found.text


def test_a_password_that_cannot_be_read_is_told(server: MailServer, tmp_path: Path) -> None:
    found = send(server, user="cr", password={"file": tmp_path / "none"})
    assert found.outcome is TryOutcome.REFUSED
    assert "none: No such file" in found.text


@pytest.mark.parametrize("encryption", ["starttls", "tls"])
def test_a_certificate_of_a_stranger_is_not_accepted(certificate: Path, encryption: str) -> None:
    with encrypted(certificate, from_begin=encryption == "tls") as server:
        found = send(server, encryption=encryption)
    assert found.outcome is TryOutcome.REFUSED
    assert "certificate" in found.text
    assert server.mails == []


@pytest.mark.parametrize("encryption", ["starttls", "tls"])
def test_a_certificate_for_another_host_is_not_accepted(certificate: Path, encryption: str) -> None:
    with encrypted(certificate, from_begin=encryption == "tls") as server:
        given = section(server.port, server="localhost", encryption=encryption, tls_ca=certificate)
        found = MailSender(given, 5.0).send(MESSAGE, lambda: True)
    assert found.outcome is TryOutcome.REFUSED
    assert "certificate" in found.text
    assert server.mails == []


def test_a_server_that_never_encrypts_ends_at_the_deadline(server: MailServer) -> None:
    """It speaks first and in the clear, where the encryption should begin."""
    found = MailSender(section(server.port, encryption="tls"), 1.0).send(MESSAGE, lambda: True)
    assert found.outcome is TryOutcome.FAILED
    assert f"127.0.0.1:{server.port}" in found.text
    assert server.mails == []


def test_a_server_without_encryption_gets_no_mail(server: MailServer) -> None:
    found = send(server, encryption="starttls")
    assert found.outcome is TryOutcome.REFUSED
    assert "STARTTLS" in found.text
    assert server.mails == []


def test_a_mail_is_accepted_where_one_receiver_is_refused_for_good(server: MailServer) -> None:
    server.receiver_answer = lambda address: "550 no such user" if address.startswith("ben") else "250 OK"
    found = send(server)
    assert found.outcome is TryOutcome.ACCEPTED
    assert "ben@example.org: 550 no such user" in found.text


def test_a_receiver_that_is_refused_for_now_gets_the_mail_later_and_the_others_not_again(server: MailServer) -> None:
    sender = MailSender(section(server.port), 5.0)
    server.receiver_answer = lambda address: "450 later" if address.startswith("ben") else "250 OK"
    assert sender.send(MESSAGE, lambda: True).outcome is TryOutcome.UNKNOWN
    assert sender.send(MESSAGE, lambda: True).outcome is TryOutcome.UNKNOWN
    server.receiver_answer = lambda _: "250 OK"
    assert sender.send(MESSAGE, lambda: True).outcome is TryOutcome.ACCEPTED
    assert [one.to for one in server.mails] == [["anna@example.org"], ["ben@example.org"]]


def test_all_receivers_refused_is_a_refusal(server: MailServer) -> None:
    server.receiver_answer = lambda _: "550 no such user"
    found = send(server)
    assert found.outcome is TryOutcome.REFUSED
    assert "anna@example.org: 550 no such user" in found.text
