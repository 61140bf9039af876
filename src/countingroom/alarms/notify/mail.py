"""Sends messages by mail. Each try of a message has the same `Message-ID`, so mail programs recognise a repeat and show
the mails of an occurrence as one conversation."""

from __future__ import annotations

import re
import smtplib
import socket
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP as MAIL_POLICY
from email.utils import format_datetime

from countingroom.alarms.notify.body import plain_body, title_line
from countingroom.alarms.notify.connection import TryConnection
from countingroom.alarms.notify.sender import (
    ACCEPTED,
    UNWANTED,
    Delivery,
    IsWanted,
    TryOutcome,
    failed,
    refused,
    unknown,
)
from countingroom.alarms.notify.server_text import failure_words, server_words, without_secrets
from countingroom.alarms.sections.notify_channels import MailChannel
from countingroom.core.errors import ConfigurationError
from countingroom.core.notify.messages import Notification

SOURCE = "alarms.notify"
REPEAT_HEADER = "X-Countingroom-Repeat"
_IDENTITY = re.compile(r"[A-Za-z0-9_-]{1,100}")
_HOST = re.compile(r"[A-Za-z0-9.-]{1,255}")
_FOR_GOOD = 500
"""SMTP codes from this one on are permanent failures."""
_MOST_PARTLY = 100
_URGENT = 2
"""Mails of this and more urgent priorities are marked as important."""


class MailSender:
    """Sends through one mail server, with a new connection for each mail."""

    kind = "mail"

    def __init__(self, section: MailChannel, timeout_s: float) -> None:
        self._section = section
        self._timeout_s = timeout_s
        self._connection = TryConnection()
        self._accepted: dict[str, frozenset[str]] = {}
        """Id of a mail that the server refused for some receivers for now -> the receivers for which it accepted it."""

    def abort(self) -> None:
        self._connection.abort()

    def send(self, message: Notification, is_wanted: IsWanted) -> Delivery:
        section = self._section
        try:
            password = section.password.read(SOURCE) if section.password else ""
        except ConfigurationError as error:
            return refused(error.cause.message)
        mail = mail_of(message, section)
        self._connection.begin()
        try:
            found = self._try(message.id, mail, password, is_wanted)
        finally:
            self._connection.end()
        return Delivery(outcome=found.outcome, text=without_secrets(found.text, (password,)))

    def _try(self, id: str, mail: EmailMessage, password: str, is_wanted: IsWanted) -> Delivery:
        section = self._section
        place = f"{section.server}:{section.used_port}"
        try:
            context = None if section.encryption == "none" else ssl.create_default_context(cafile=section.tls_ca)
        except (OSError, ssl.SSLError) as error:
            return refused(f"the certificates of {section.tls_ca} cannot be read: {failure_words(error)}")
        line = _Connection(self._connection, context if section.encryption == "tls" else None, self._timeout_s)
        try:
            found = self._prepare(line, context, password, place)
            if found is not None:
                return found
            return self._hand_over(line, id, mail, place) if is_wanted() else UNWANTED
        finally:
            line.close()

    def _prepare(self, line: _Connection, context: ssl.SSLContext | None, password: str, place: str) -> Delivery | None:
        """Connect, encrypt and log in. Returns the failure, or None if it worked. After a failure the mail was
        certainly not sent."""
        section = self._section
        try:
            code, answer = line.connect(section.server, section.used_port)
            if code != 220:
                return _by_code(code, f"{place} answers {code}: {server_words(answer)}")
            line.ehlo_or_helo_if_needed()
            if section.encryption == "starttls" and context is not None:
                line.starttls(context=context)
                line.ehlo()
            if section.user:
                line.login(section.user, password)
        except smtplib.SMTPAuthenticationError as error:
            said = f"{place} refuses the login of {section.user}: {error.smtp_code} {server_words(error.smtp_error)}"
            return _by_code(error.smtp_code, said)
        except smtplib.SMTPNotSupportedError as error:
            return refused(f"{place} cannot do what is needed: {server_words(str(error))}")
        except smtplib.SMTPResponseException as error:
            return _by_code(error.smtp_code, f"{place} answers {error.smtp_code}: {server_words(error.smtp_error)}")
        except ssl.SSLCertVerificationError as error:
            return refused(f"the certificate of {place} is not trusted: {server_words(error.verify_message)}")
        except (OSError, ValueError) as error:
            return failed(f"{place}: {self._words(error)}")
        return None

    def _hand_over(self, line: _Connection, id: str, mail: EmailMessage, place: str) -> Delivery:
        """Give the mail to the server. If the answer is lost after the mail was begun, the result is unknown."""
        section = self._section
        before = self._accepted.pop(id, frozenset[str]())
        to = [one for one in section.to if one not in before]
        try:
            refusals = line.sendmail(section.sender, to, mail.as_bytes())
        except smtplib.SMTPRecipientsRefused as error:
            found = _by_code(_lowest_code(error.recipients), f"{place} refuses {_refusals(error.recipients)}")
            return self._partly(id, before, found) if before else found
        except smtplib.SMTPSenderRefused as error:
            said = f"{place} refuses the sender {section.sender}: {error.smtp_code} {server_words(error.smtp_error)}"
            return _by_code(error.smtp_code, said)
        except smtplib.SMTPResponseException as error:
            return _by_code(error.smtp_code, f"{place} answers {error.smtp_code}: {server_words(error.smtp_error)}")
        except (OSError, ValueError) as error:
            return unknown(f"{place}: {self._words(error)}, after the mail was begun")
        if not refusals:
            return ACCEPTED
        said = f"{place} refuses {_refusals(refusals)}; it took the mail for the other receivers"
        if _lowest_code(refusals) >= _FOR_GOOD:
            return Delivery(outcome=TryOutcome.ACCEPTED, text=said)
        return self._partly(id, before.union(to) - refusals.keys(), unknown(said))

    def _partly(self, id: str, accepted: frozenset[str], found: Delivery) -> Delivery:
        """The result if some receivers have the mail already. The next try is for the other receivers only."""
        self._accepted = {**dict(list(self._accepted.items())[-_MOST_PARTLY:]), id: accepted}
        if found.outcome is TryOutcome.REFUSED:
            return Delivery(outcome=TryOutcome.ACCEPTED, text=found.text)
        return unknown(found.text)

    def _words(self, error: Exception) -> str:
        return "no answer in time" if self._connection.is_aborted else failure_words(error)


class _Connection(smtplib.SMTP):
    """An SMTP connection that another thread can end. It does not ask a name server for the name of this computer,
    because a name server that does not answer would block the try."""

    def __init__(self, connection: TryConnection, context: ssl.SSLContext | None, timeout_s: float) -> None:
        name = socket.gethostname()
        super().__init__(local_hostname=name if _HOST.fullmatch(name) else "localhost", timeout=timeout_s)
        self._connection = connection
        self._context = context

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        # `starttls` compares `_host` with the certificate, but only the constructor of `SMTP` with a host sets it.
        self._host = host
        plain = self._connection.open(host, port, timeout)
        return plain if self._context is None else self._context.wrap_socket(plain, server_hostname=host)

    def close(self) -> None:
        """Send QUIT without waiting for the answer, and close."""
        try:
            if self.sock is not None:
                self.sock.sendall(b"QUIT\r\n")
        except (OSError, ValueError):  # it is closed already
            pass
        super().close()


def mail_of(message: Notification, section: MailChannel) -> EmailMessage:
    """The mail of a message. Texts of alarms cannot add headers or receivers."""
    host = section.sender.rpartition("@")[2]
    mail = EmailMessage(policy=MAIL_POLICY)
    mail["From"] = section.sender
    mail["To"] = ", ".join(section.to)
    mail["Subject"] = title_line(message)
    mail["Date"] = format_datetime(datetime.fromtimestamp(message.created_ns // 1_000_000_000, UTC))
    mail["Message-ID"] = _message_id(message.id, host)
    if message.thread_id and message.thread_id != message.id:
        mail["In-Reply-To"] = _message_id(message.thread_id, host)
        mail["References"] = _message_id(message.thread_id, host)
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Auto-Response-Suppress"] = "All"
    if message.priority <= _URGENT:
        mail["Importance"] = "high"
        mail["X-Priority"] = "1"
    if message.is_repeat:
        mail[REPEAT_HEADER] = "yes"
    mail.set_content(plain_body(message), cte="quoted-printable")
    return mail


def _message_id(id: str, host: str) -> str:
    if not _IDENTITY.fullmatch(id):
        raise ValueError(f"{id!r} is no identity of a message")
    return f"<{id}@{host}>"


def _by_code(code: int, text: str) -> Delivery:
    """The result of an SMTP code: 4xx is temporary, 5xx permanent."""
    return refused(text) if code >= _FOR_GOOD else failed(text)


def _lowest_code(refusals: Mapping[str, tuple[int, bytes]]) -> int:
    """The lowest code: if one receiver is refused only for now, a further try makes sense."""
    return min((code for code, _ in refusals.values()), default=0)


def _refusals(refusals: Mapping[str, tuple[int, bytes]]) -> str:
    return "; ".join(f"{one}: {code} {server_words(answer)}" for one, (code, answer) in refusals.items())
