"""A mail server and an HTTP endpoint on free ports, which a test starts and tells how to behave."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session
from msgspec import Struct


class Request(Struct, frozen=True, kw_only=True):
    """A request that came, or was answered."""

    path: str
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes
    at_s: float
    """Monotonic time of its end."""


Answer = tuple[int, bytes] | float | None
"""Status and body; a number: seconds without an answer, then the line is closed; None: the line is closed at once."""


class HttpEndpoint:
    """Keeps what it accepted. `answer` may be replaced by the test; it is called in the thread of a request."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        """Each that came."""
        self.answered: list[Request] = []
        """Those that were accepted."""
        self.answer: Callable[[Request], Answer] = lambda _: (200, b"")
        self.headers: dict[str, str] = {}
        """Of each answer."""
        self.released = threading.Event()
        """Set: waiting answers end."""
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers.get("content-length") or 0)
                headers = {name.lower(): value for name, value in self.headers.items()}
                body = self.rfile.read(length)
                request = Request(path=self.path, headers=headers, body=body, at_s=time.monotonic())
                endpoint.requests.append(request)
                self.close_connection = True
                match endpoint.answer(request):
                    case (status, said):
                        if status < 300:
                            endpoint.answered.append(request)
                        self.send_response(status)
                        for name, value in {**endpoint.headers, "content-length": str(len(said))}.items():
                            self.send_header(name, value)
                        with suppress(OSError):  # the sender was killed
                            self.end_headers()
                            self.wfile.write(said)
                    case float(seconds):
                        endpoint.released.wait(seconds)
                    case _:
                        pass

            do_PUT = do_POST

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @contextmanager
    def running(self) -> Generator[HttpEndpoint]:
        thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.released.set()
            self._server.shutdown()
            self._server.server_close()
            thread.join()


class Mail(Struct, frozen=True, kw_only=True):
    """A mail that the server accepted."""

    sender: str
    to: list[str]
    message: EmailMessage
    is_encrypted: bool
    user: str
    at_s: float


class MailServer:
    """Keeps what it accepted. The answers may be replaced by the test."""

    def __init__(self, tls: Any = None, *, from_begin: bool = False, login: tuple[str, str] | None = None) -> None:
        """`tls`: a server's context, for STARTTLS or, `from_begin`, for each connection. `login`: the user and password
        that it knows, and demands with STARTTLS."""
        self.mails: list[Mail] = []
        self.receiver_answer: Callable[[str], str] = lambda _: "250 OK"
        self.data_answer: Callable[[Mail], str] = lambda _: "250 OK"
        self.user = ""
        self._login = login
        options: dict[str, Any] = {"hostname": "localhost"}
        is_upgraded = tls is not None and not from_begin
        if is_upgraded:
            options |= {"tls_context": tls, "require_starttls": True}
        if login is not None:
            # The server does not count an encryption from the begin, and warns of a login without one.
            options |= {"authenticator": self._check, "auth_required": is_upgraded, "auth_require_tls": is_upgraded}
        self._options = options
        self._tls = tls if from_begin else None
        self.port = 0

    @contextmanager
    def running(self) -> Generator[MailServer]:
        # The controller of aiosmtpd cannot take a free port.
        loop = asyncio.new_event_loop()

        def make() -> SMTP:
            return SMTP(self, loop=loop, **self._options)

        server = loop.run_until_complete(loop.create_server(make, "127.0.0.1", 0, ssl=self._tls))
        self.port = server.sockets[0].getsockname()[1]
        thread = threading.Thread(target=loop.run_forever, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            server.close()
            for task in asyncio.all_tasks(loop):
                task.cancel()
            loop.run_until_complete(asyncio.sleep(0.05))
            loop.close()

    def _check(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        given = (data.login.decode(), data.password.decode())
        self.user = given[0]
        return AuthResult(success=given == self._login, handled=False)

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        answer = self.receiver_answer(address)
        if answer.startswith("2"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        content = cast(bytes, envelope.content)
        mail = Mail(
            sender=envelope.mail_from or "",
            to=list(envelope.rcpt_tos),
            message=message_from_bytes(content, policy=policy.default),
            is_encrypted=session.ssl is not None or self._tls is not None,
            user=self.user,
            at_s=time.monotonic(),
        )
        answer = self.data_answer(mail)
        if answer.startswith("2"):
            self.mails.append(mail)
        return answer
