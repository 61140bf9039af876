"""Sends messages as JSON by HTTP to a program of the site. All tries of a message have the same `Idempotency-Key`. If
the channel has a secret, each request is signed."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

import msgspec

from countingroom.alarms.notify.body import plain_body, title_line
from countingroom.alarms.notify.http_post import HttpPost, http_address
from countingroom.alarms.notify.sender import Delivery, IsWanted, refused
from countingroom.alarms.notify.server_text import without_secrets
from countingroom.alarms.sections.notify_channels import WebhookChannel
from countingroom.core.clock import Clock
from countingroom.core.errors import ConfigurationError
from countingroom.core.notify.messages import Notification
from countingroom.core.yaml.secret_reference import SecretReference, revealed

SOURCE = "alarms.notify"
KEY_HEADER = "Idempotency-Key"
TIME_HEADER = "X-Countingroom-Timestamp"
SIGNATURE_HEADER = "X-Countingroom-Signature"
REPEAT_HEADER = "X-Countingroom-Repeat"


class WebhookSender:
    """Sends to one address."""

    kind = "webhook"

    def __init__(self, section: WebhookChannel, timeout_s: float, clock: Clock) -> None:
        self._section = section
        self._clock = clock
        self._http = HttpPost(timeout_s, section.tls_ca)

    def abort(self) -> None:
        self._http.abort()

    def send(self, message: Notification, is_wanted: IsWanted) -> Delivery:
        section = self._section
        try:
            written = revealed(section.address, SOURCE)
            key = section.secret.read(SOURCE) if section.secret else ""
        except ConfigurationError as error:
            return refused(error.cause.message)
        address = http_address(written)
        if address is None:
            return refused("the address is none of HTTP, or has a user and password in it")
        body = msgspec.json.encode(document(message))
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "countingroom",
            KEY_HEADER: message.id,
        }
        if message.is_repeat:
            headers[REPEAT_HEADER] = "yes"
        if key:
            time_s = str(self._clock.now_ns() // 1_000_000_000)
            headers |= {TIME_HEADER: time_s, SIGNATURE_HEADER: signature(key, time_s, body)}
        found = self._http.post(address, headers, body, is_wanted)
        secrets = [key] if key else []
        if isinstance(section.address, SecretReference):
            secrets += [written, address.path]
        return Delivery(outcome=found.outcome, text=without_secrets(found.text, secrets))


def document(message: Notification) -> dict[str, Any]:
    """The body of a request."""
    return {
        "id": message.id,
        "kind": message.kind.value,
        "channel": message.channel,
        "route": message.route,
        "person": message.person,
        "title": title_line(message),
        "text": plain_body(message),
        "priority": message.priority,
        "alarms": [{"alarm": alarm, "occurrence": occurrence} for alarm, occurrence in message.alarms],
        "thread_id": message.thread_id,
        "links": [{"title": link.title, "address": link.address} for link in message.links],
        "created_ns": message.created_ns,
        "attempt": message.attempt,
        "repeat": message.is_repeat,
    }


def signature(key: str, time_s: str, body: bytes) -> str:
    """`sha256=` and the HMAC-SHA256, in hexadecimal digits, of the time stamp, a dot and the body."""
    return "sha256=" + hmac.new(key.encode(), time_s.encode() + b"." + body, hashlib.sha256).hexdigest()
