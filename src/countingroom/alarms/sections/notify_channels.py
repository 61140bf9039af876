"""Settings of the channels through which people are told of alarms, and of the heartbeat to the outside."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from countingroom.alarms.sections.inherited import Problem
from countingroom.core.yaml.secret_reference import SecretReference
from countingroom.core.yaml.section import Seconds, Section

_MAIL_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+")
_PORTS = {"starttls": 587, "tls": 465, "none": 25}
_LOCAL = ("localhost", "127.0.0.1", "::1")
KINDS = ("mail", "webhook", "apprise")
"""Keys of a channel, of which it has one."""


def _mail_address(value: str) -> str:
    if not _MAIL_ADDRESS.fullmatch(value) or len(value) > 254:
        raise ValueError(f"a mail address is name@host in ASCII characters, without a display name; got {value!r}")
    return value


def _web_address(value: str) -> str:
    if not re.fullmatch(r"https?://[^\s/?#@]+([/?][^\s#]*)?", value):
        raise ValueError("an address begins with https:// or http:// and has no user, password or fragment")
    return value


MailAddress = Annotated[str, AfterValidator(_mail_address)]
"""`shift@example.org`."""
WebAddress = Annotated[str, AfterValidator(_web_address)] | SecretReference
"""`https://…`, or a reference where the address itself is a secret."""
_AsList = BeforeValidator(lambda given: [given] if isinstance(given, str) else given)


class MailChannel(Section):
    """A mail server that takes messages."""

    server: Annotated[str, Field(min_length=1, pattern=r"^[A-Za-z0-9.:_-]+$")]
    """Host of the mail server."""
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """Where it is not given: 587 with `starttls`, 465 with `tls`, 25 with `none`."""
    encryption: Literal["starttls", "tls", "none"] = "starttls"
    """`starttls`: the connection is encrypted before anything is said; it fails where the server cannot. `tls`: from
    its begin. `none`: only where the way to the server is trusted."""
    tls_ca: Path | None = None
    """File of the authority that signed the certificate of the server; those of the system where it is not given."""
    user: str = ""
    password: SecretReference | None = None
    sender: MailAddress = Field(alias="from")
    """The sender of each mail. Its host also stands in the identity of each mail."""
    to: Annotated[list[MailAddress], _AsList, Field(min_length=1, max_length=50)]
    """The receivers."""

    @property
    def used_port(self) -> int:
        """The port of the server."""
        return self.port or _PORTS[self.encryption]

    def problems(self) -> Iterator[Problem]:
        """A login that is incomplete, or that others on the way can read."""
        if bool(self.user) != (self.password is not None):
            yield (), "give user and password, or none of them"
        if self.password is not None and self.encryption == "none" and self.server not in _LOCAL:
            yield ("encryption",), "the password would be sent in the clear; use starttls or tls"


class WebhookChannel(Section):
    """A program that takes messages as JSON by HTTP."""

    address: WebAddress
    secret: SecretReference | None = None
    """Key of the signature (HMAC-SHA256) of each request; without it the receiver cannot prove the sender."""
    tls_ca: Path | None = None
    """File of the authority that signed the certificate of the server; those of the system where it is not given."""


class ChannelSection(Section):
    """A way to tell people. It has one of `mail`, `webhook` and `apprise`."""

    mail: MailChannel | None = None
    webhook: WebhookChannel | None = None
    apprise: SecretReference | None = None
    """Reference to an address of Apprise, such as `ntfys://…` or `tgram://…`, for every other service."""
    title: str = ""
    """For display; the name where empty."""
    timeout: Annotated[Seconds, Field(ge=1, le=120)] = 20.0
    """A try that takes longer has failed."""
    give_up_after: Annotated[Seconds, Field(ge=60)] = 3600.0
    """A message that could not be sent for so long is dead, and is sent another way."""

    @property
    def kind(self) -> str:
        """Which of the three it is."""
        return next((kind for kind in KINDS if getattr(self, kind) is not None), "")

    def problems(self) -> Iterator[Problem]:
        """No kind, or two."""
        given = [kind for kind in KINDS if getattr(self, kind) is not None]
        if len(given) != 1:
            yield (), f"a channel has one of {', '.join(KINDS)}; this has {' and '.join(given) or 'none'}"


class HeartbeatSection(Section):
    """A service outside that tells people when it does not hear from this experiment any more."""

    address: WebAddress
    """It gets a POST request each time, such as a check of healthchecks.io."""
    every: Annotated[Seconds, Field(ge=10)] = 60.0
    tls_ca: Path | None = None
    """File of the authority that signed the certificate of the server; those of the system where it is not given."""
