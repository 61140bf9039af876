"""HTTP requests to a store: with a deadline, compressed, ended from another thread, with errors that say what to do.

An answer that means "not now" (no connection, time-out, 5xx, 429) is a LinkError, and so is a refused login: the caller
keeps its data and tries again. Any other answer goes back to the caller.
"""

from __future__ import annotations

import gzip
import socket
import ssl
import threading
import weakref
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from countingroom.core.errors import ConfigurationError, LinkError

_LOCAL = ("localhost", "127.0.0.1", "::1")
_BUSY = 429
_DENIED = (401, 403)
_FIRST_SERVER_ERROR = 500
_LATER = "see the log of the store, and the room on its disk; it is tried again"
_NO_ROOM = "make room on the disk of the store, then start its server anew: InfluxDB 1 does not go on by itself"
_SHOWN = 300
"""Characters of an answer that an error repeats."""
_WORTH_COMPRESSING = 1_000
"""Bytes. A shorter body is not smaller in the end."""

Parameters = Mapping[str, str | list[str]]


class StoreHttp:
    """Requests to one server. Calls are made from one thread at a time, `abort` from any."""

    def __init__(
        self,
        url: str,
        *,
        source: str,
        timeout_s: float,
        headers: Mapping[str, str] | None = None,
        tls_ca: Path | None = None,
        compress: bool | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """`source`: the store, for errors. `tls_ca`: file of the authority of its certificate; None: those of the
        system. `compress` None: where the server is another
        machine. `transport` stands in place of the network. ConfigurationError for files that cannot be read."""
        self.url = url
        self.source = source
        self._compress = urlsplit(url).hostname not in _LOCAL if compress is None else compress
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._lock = threading.Lock()
        self._is_calling = False
        self._is_aborted = False
        try:
            verify = ssl.create_default_context(cafile=tls_ca) if url.startswith("https") else True
        except (OSError, ssl.SSLError) as error:
            raise ConfigurationError(
                f"the certificates of {tls_ca} cannot be read: {error}", source=source, code="store_certificates"
            ) from error
        self._client = httpx.Client(
            base_url=url, timeout=timeout_s, headers=headers, verify=verify, transport=transport, trust_env=False
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    @contextmanager
    def call(self) -> Generator[None]:
        """A call of the store: all its requests end with the first `abort`."""
        with self._lock:
            self._is_calling = True
            self._is_aborted = False
        try:
            yield
        finally:
            with self._lock:
                self._is_calling = False

    def abort(self) -> None:
        """End the call that is under way: its request raises LinkError. Without one nothing happens."""
        with self._lock:
            if not self._is_calling:
                return
            self._is_aborted = True
            sockets = list(self._sockets)
        for each in sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def get(self, path: str, parameters: Parameters) -> httpx.Response:
        """A GET request."""
        return self._send("GET", path, params=dict(parameters))

    def ask(self, path: str, form: Parameters) -> httpx.Response:
        """A POST request with a form: questions may be longer than an address can be."""
        return self._send("POST", path, data=dict(form))

    def post(self, path: str, parameters: Parameters, body: bytes) -> httpx.Response:
        """A POST request. The body is compressed where that is worth it."""
        headers: dict[str, str] = {}
        if self._compress and len(body) > _WORTH_COMPRESSING:
            body, headers = gzip.compress(body, 1), {"Content-Encoding": "gzip"}
        return self._send("POST", path, params=dict(parameters), content=body, headers=headers)

    def refused(self, answer: httpx.Response, suggestion: str) -> LinkError:
        """The error for an answer that the caller did not expect."""
        return LinkError(
            f"the store at {self.url} refuses a request: {words(answer)}",
            source=self.source,
            code="store_refused",
            evidence={"status": answer.status_code},
            suggestion=suggestion,
        )

    def _send(self, method: str, path: str, **request: Any) -> httpx.Response:
        if self._is_aborted:
            raise self._unreachable("the call was ended at its deadline")
        try:
            answer = self._client.request(method, path, extensions={"trace": self._trace}, **request)
        except httpx.TimeoutException as error:
            raise self._unreachable("it did not answer in time") from error
        except (httpx.HTTPError, OSError) as error:
            said = "the call was ended at its deadline" if self._is_aborted else str(error) or type(error).__name__
            raise self._unreachable(said) from error
        return self._checked(answer)

    def _trace(self, event: str, details: Mapping[str, Any]) -> None:
        if event == "connection.connect_tcp.complete":
            found = details["return_value"].get_extra_info("socket")
            if isinstance(found, socket.socket):
                with self._lock:
                    self._sockets.add(found)

    def _checked(self, answer: httpx.Response) -> httpx.Response:
        status = answer.status_code
        if status in _DENIED:
            raise LinkError(
                f"the store at {self.url} refuses the login: {words(answer)}",
                source=self.source,
                code="store_denied",
                suggestion="correct user, password or token of the store, and see that they may read and write",
            )
        if status == _BUSY or status >= _FIRST_SERVER_ERROR:
            raise LinkError(
                f"the store at {self.url} cannot do it now: {words(answer)}",
                source=self.source,
                code="store_busy",
                evidence={"status": status},
                suggestion=_NO_ROOM if "no space left" in answer.text else _LATER,
            )
        return answer

    def _unreachable(self, said: str) -> LinkError:
        return LinkError(
            f"the store at {self.url} is not reached: {said}",
            source=self.source,
            code="store_unreachable",
            suggestion="see that the server runs, and that address and network are right; it is tried again",
        )


def words(answer: httpx.Response) -> str:
    """Status and beginning of an answer, on one line."""
    said = " ".join(answer.text.split())[:_SHOWN]
    return f"{answer.status_code} {said or answer.reason_phrase}"
