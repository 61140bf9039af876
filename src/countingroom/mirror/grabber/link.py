"""Asks an upstream: over HTTP or over a WebSocket, with a deadline, its certificate verified."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Sequence
from typing import Any, Protocol, cast
from urllib.parse import urlsplit

import httpx
from msgspec import Struct
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from countingroom.core.clock import timeout
from countingroom.core.errors import ConfigurationError, LinkError
from countingroom.core.messages import Malformed
from countingroom.core.mirror.dqm_documents import event_of, json_of, question
from countingroom.core.mirror.upstream_actions import MOST_BYTES, ActionRequest
from countingroom.mirror.http_exchange import AnswerTooLarge, exchange

SOURCE = "mirror.upstreams"
"""Of the errors of upstreams, before their name."""
COOKIE = "selenium-secret-secret"
_MOST_BYTES = 256 << 20
"""Of one answer."""
_OK = 200
_BARRIER = question("request_documents", ids=[])


class UpstreamAccess(Struct, frozen=True, kw_only=True):
    """How an upstream is reached."""

    name: str
    """In the description."""
    url: str
    port: int
    """Of the other computers, where they are asked by way of this one."""
    timeout_s: float
    secret: str = ""
    tls: ssl.SSLContext | None = None

    def error(self, code: str, said: str) -> LinkError:
        """An error of this upstream."""
        return LinkError(
            f"the upstream {self.name} {said}",
            source=f"{SOURCE}.{self.name}",
            code=code,
            suggestion="see that it runs, and that address, certificate and secret are right; it is tried again",
        )


class UpstreamLink(Protocol):
    """Asks one computer of an upstream. Every method raises LinkError, with a code of `values.Trouble`."""

    async def ask(self, message: str, host: str) -> list[str]:
        """All messages that answer one."""
        ...

    async def status(self, cluster: str) -> Any:
        """Of the computers of a cluster."""
        ...

    async def act(self, request: ActionRequest, timeout_s: float) -> tuple[int, bytes]:
        """Send an action, once; status and body of the answer, which is cut where it is too long."""
        ...

    async def close(self) -> None:
        """End the connections."""
        ...


def tls_context(url: str, ca: str | None, certificate: str | None, key: str | None, source: str) -> ssl.SSLContext:
    """Verifies the certificate of the upstream and shows ours. ConfigurationError for files that cannot be read."""
    try:
        made = ssl.create_default_context(cafile=ca)
        if certificate:
            made.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"the certificates for {url} cannot be read: {error}", source=source, code="certificates"
        ) from error
    return made


class HttpLink:
    """`POST /sync_proxy`, and `POST /redirect?path=HOST` for the other computers. Redirections are not followed: they
    could lead the secret elsewhere."""

    def __init__(self, access: UpstreamAccess, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        """`transport` stands in place of the network."""
        self._access = access
        self._client = httpx.AsyncClient(
            base_url=access.url.rstrip("/"),
            timeout=access.timeout_s,
            cookies={COOKIE: access.secret} if access.secret else None,
            verify=access.tls or True,
            trust_env=False,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=20),
            transport=transport,
        )

    async def ask(self, message: str, host: str) -> list[str]:
        body = json.dumps({"messages": [message]})
        where = f"/redirect?path={host}&port={self._access.port}" if host else "/sync_proxy"
        answer = await self._send("POST", where, content=body, headers={"Content-Type": "application/json"})
        found = cast("dict[str, Any]", answer).get("messages") if isinstance(answer, dict) else None
        if not isinstance(found, list) or not all(isinstance(one, str) for one in cast("list[Any]", found)):
            raise self._access.error("bad_answer", "answers what is no list of messages")
        return cast("list[str]", found)

    async def status(self, cluster: str) -> Any:
        return await self._send("GET", "/cr/exe", params={"what": "get_cluster_status", "cluster": cluster})

    async def act(self, request: ActionRequest, timeout_s: float) -> tuple[int, bytes]:
        return await self._exchange(request.method, request.target, timeout_s, MOST_BYTES, cut=True, timeout=timeout_s)

    async def close(self) -> None:
        await self._client.aclose()

    async def _send(self, method: str, path: str, **request: Any) -> Any:
        access = self._access
        status, body = await self._exchange(method, path, access.timeout_s, _MOST_BYTES, **request)
        if status != _OK:
            raise access.error("refused", f"answers with the status {status}")
        try:
            return json_of(body)
        except Malformed as error:
            raise access.error("bad_answer", "answers what is no JSON") from error

    async def _exchange(
        self, method: str, path: str, timeout_s: float, most_bytes: int, **request: Any
    ) -> tuple[int, bytes]:
        access = self._access
        try:
            return await exchange(self._client, method, path, within_s=timeout_s, most_bytes=most_bytes, **request)
        except AnswerTooLarge as error:
            raise access.error("bad_answer", f"answers with more than {most_bytes >> 20} MiB") from error
        except (TimeoutError, httpx.TimeoutException) as error:
            raise access.error("no_answer", f"did not answer within {timeout_s:g} s") from error
        except (httpx.HTTPError, OSError) as error:
            raise access.error("not_reached", f"is not reached: {error or type(error).__name__}") from error


class WebSocketLink:
    """`/sync` of one computer: one connection, questions one after the other."""

    def __init__(self, access: UpstreamAccess) -> None:
        self._access = access
        self._http = HttpLink(access)
        self._socket: ClientConnection | None = None
        self._turn = asyncio.Lock()

    async def ask(self, message: str, host: str) -> list[str]:
        # Nothing ends the answer to a `sync_request`, and where there are no headers nothing is said at all. An empty
        # question for documents is answered after it, always.
        access = self._access
        async with self._turn:
            try:
                async with timeout(access.timeout_s):
                    return await self._talk(message)
            except TimeoutError as error:
                await self._drop()
                raise access.error("no_answer", f"did not answer within {access.timeout_s:g} s") from error
            except (WebSocketException, OSError) as error:
                await self._drop()
                raise access.error("not_reached", f"is not reached: {error or type(error).__name__}") from error
            except Malformed as error:
                await self._drop()
                raise access.error("bad_answer", f"answers what is no message: {error}") from error
            except BaseException:  # what is still to come belongs to no later question
                await self._drop()
                raise

    async def status(self, cluster: str) -> Any:
        return await self._http.status(cluster)

    async def act(self, request: ActionRequest, timeout_s: float) -> tuple[int, bytes]:
        return await self._http.act(request, timeout_s)

    async def close(self) -> None:
        await self._drop()
        await self._http.close()

    async def _talk(self, message: str) -> list[str]:
        if self._socket is None:
            self._socket = await self._connected()
        await self._socket.send(message)
        await self._socket.send(_BARRIER)
        ends = 2 if event_of(message) == "request_documents" else 1
        found: list[str] = []
        while ends:
            one = await self._socket.recv()
            text = one if isinstance(one, str) else one.decode(errors="replace")
            ends -= event_of(text) == "update_documents"
            found.append(text)
        return found[:-1]

    async def _connected(self) -> ClientConnection:
        access = self._access
        parts = urlsplit(access.url)
        scheme = "wss" if parts.scheme == "https" else "ws"
        url = f"{scheme}://{parts.netloc}{parts.path.rstrip('/')}/sync"
        headers = {"Cookie": f"{COOKIE}={access.secret}"} if access.secret else None
        secure: dict[str, Any] = {"ssl": access.tls} if access.tls and scheme == "wss" else {}
        return await connect(url, additional_headers=headers, max_size=_MOST_BYTES, proxy=None, **secure)

    async def _drop(self) -> None:
        socket, self._socket = self._socket, None
        if socket is not None:
            socket.transport.abort()


def messages_asked(known: int | None, ids: Sequence[str] = ()) -> str:
    """The question for headers from a revision on, or for documents."""
    return question("request_documents", ids=list(ids)) if ids else question("sync_request", known_rev=known)
