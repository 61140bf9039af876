"""One POST request with a deadline, in the thread of a channel.

Redirects are not followed, because a secret may be sent only to the described address.
"""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from msgspec import Struct

from countingroom.alarms.notify.connection import TryConnection
from countingroom.alarms.notify.sender import UNWANTED, Delivery, IsWanted, TryOutcome, failed, refused, unknown
from countingroom.alarms.notify.server_text import failure_words, server_words

_MOST_BYTES = 16_384
"""The most bytes that are read of an answer."""
_AGAIN = (408, 425, 429)
"""Status codes after which a further try makes sense: the server has not taken the request."""


class HttpAddress(Struct, frozen=True, kw_only=True):
    """The address of a request, in its parts."""

    host: str
    port: int
    is_encrypted: bool
    path: str
    """The path with the query."""

    @property
    def place(self) -> str:
        """Host and port for texts; the path is left out because it may be secret."""
        return f"{self.host}:{self.port}"


def http_address(text: str) -> HttpAddress | None:
    """The parts of an address; None if it is no HTTP address or contains a login."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in ("https", "http") or not parts.hostname or parts.username is not None:
        return None
    if not text.isascii() or any(character <= " " for character in text):
        return None
    is_encrypted = parts.scheme == "https"
    path = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
    return HttpAddress(
        host=parts.hostname, port=port or (443 if is_encrypted else 80), is_encrypted=is_encrypted, path=path
    )


class HttpPost:
    """POST requests, one at a time, each with a connection of its own."""

    def __init__(self, timeout_s: float, tls_ca: Path | None = None) -> None:
        self._timeout_s = timeout_s
        self._tls_ca = tls_ca
        self._connection = TryConnection()

    def abort(self) -> None:
        """End a request that takes too long, from another thread."""
        self._connection.abort()

    def post(self, address: HttpAddress, headers: Mapping[str, str], body: bytes, is_wanted: IsWanted) -> Delivery:
        """Send a request and return the result by the status of the answer."""
        self._connection.begin()
        try:
            context = ssl.create_default_context(cafile=self._tls_ca) if address.is_encrypted else None
        except (OSError, ssl.SSLError) as error:
            return refused(f"the certificates of {self._tls_ca} cannot be read: {failure_words(error)}")
        line = _Line(address, self._connection, context, self._timeout_s)
        try:
            return self._try(line, address, headers, body, is_wanted)
        finally:
            line.close()
            self._connection.end()

    def _try(
        self, line: _Line, address: HttpAddress, headers: Mapping[str, str], body: bytes, is_wanted: IsWanted
    ) -> Delivery:
        try:
            line.connect()
        except ssl.SSLCertVerificationError as error:
            return refused(f"the certificate of {address.place} is not trusted: {server_words(error.verify_message)}")
        except (OSError, ValueError) as error:
            return failed(f"{address.place}: {self._words(error)}")
        if not is_wanted():
            return UNWANTED
        try:
            line.request("POST", address.path, body, dict(headers))
            answer = line.getresponse()
            said = answer.read(_MOST_BYTES)
        except (OSError, ValueError, http.client.HTTPException) as error:
            return unknown(f"{address.place}: {self._words(error)}, after the request was begun")
        return _by_status(answer.status, f"{address.place} answers {answer.status} {server_words(said)}".rstrip())

    def _words(self, error: Exception) -> str:
        return "no answer in time" if self._connection.is_aborted else failure_words(error)


class _Line(http.client.HTTPConnection):
    """A connection that another thread can end."""

    def __init__(
        self, address: HttpAddress, connection: TryConnection, context: ssl.SSLContext | None, timeout_s: float
    ) -> None:
        super().__init__(address.host, address.port)
        self._try_connection = connection
        self._context = context
        self._timeout_s = timeout_s

    def connect(self) -> None:
        plain = self._try_connection.open(self.host, self.port, self._timeout_s)
        self.sock: socket.socket = (
            plain if self._context is None else self._context.wrap_socket(plain, server_hostname=self.host)
        )


def _by_status(status: int, text: str) -> Delivery:
    if 200 <= status < 300:
        return Delivery(outcome=TryOutcome.ACCEPTED)
    if 300 <= status < 400:
        return refused(f"{text}: a redirect, which is not followed; correct the address")
    if status in _AGAIN:
        return failed(text)
    # A proxy answers 502 and 504 for a server that may have worked on the request all the same.
    return refused(text) if status < 500 else unknown(text)
