"""A server of few words stands in for the API, and keeps what it was sent."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import parse_qs

Answers = dict[tuple[str, str], tuple[int, Any]]
"""(method, path) -> (status, body); bytes go as they are, all else as JSON."""


@contextmanager
def serving(answers: Answers, asked: list[Any] | None = None) -> Iterator[tuple[str, list[Any]]]:
    """A server that gives these answers and keeps the bodies it was sent; `asked` takes what came after each `?`."""
    sent: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = answers.get((self.command, self.path.partition("?")[0]), (404, {"cause": {"code": "x"}}))
            if length := int(self.headers.get("Content-Length") or 0):
                sent.append(json.loads(self.rfile.read(length)))
            if asked is not None:
                asked.append(parse_qs(self.path.partition("?")[2]))
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_POST = do_GET

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", sent
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
