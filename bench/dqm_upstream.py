"""An upstream of the DQM^2 kind in a process of its own, over HTTP, with its answers ready: what it costs is small, and
measured apart. `python -m bench.dqm_upstream DOCUMENTS [digits]` tells its port, and at the end of its input its
processor time in seconds.

Each document has 34 kB of logs with the variety of real ones (725 templates in 26,600 lines), and these come again
after them: of real logs 58 % of the lines are there twice. With `digits` all digits of all lines differ, so that hardly
any line comes twice.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import sys
import time
from typing import Any

from tests.mirror_logs import Corpus, corpus

LOG_BYTES = 34_000
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_DIGIT = re.compile(r"\d")


class FarmDocuments:
    """The documents of one computer of an upstream."""

    def __init__(self, made: Corpus, documents: int, *, digits: bool = False) -> None:
        lines = [line for _, _, log in made.logs for line in log]
        rng = random.Random(2)
        self.logs: list[list[str]] = []
        at = 0
        for _ in range(documents):  # each log begins at another line
            log: list[str] = []
            size = 0
            while size < LOG_BYTES:
                line = lines[at % len(lines)]
                log.append(_DIGIT.sub(lambda _: "123456789"[int(rng.random() * 9)], line) if digits else line)
                size += len(line) + 1
                at += 1
            self.logs.append(log)
        self.ids = {f"dqm-source-state-run{one}-hostfu-1-pid{one:06d}": one for one in range(1, documents + 1)}

    def document(self, id: str) -> dict[str, Any]:
        """A document as its upstream has it."""
        number = self.ids[id]
        log = self.logs[number - 1]
        logs = {"stdlog_start": log[: len(log) // 2], "stdlog_end": log[len(log) // 2 :]}
        fields = {"_id": id, "_rev": number, "hostname": "fu-1", "run": number, "tag": "beam", "pid": number}
        return {**fields, "timestamp": 1.79e9 + number, "exit_code": 0, "events_total": number, "extra": logs}

    @property
    def headers(self) -> list[dict[str, Any]]:
        """All of them."""
        return [{"_id": id, "_rev": number, "type": "dqm-source-state"} for id, number in self.ids.items()]


class _Answers(asyncio.Protocol):
    """One connection: requests one after the other."""

    def __init__(self, texts: dict[str, bytes], headers: bytes) -> None:
        """`texts`: id -> its document; `headers`: the message with them. Both as part of a text in JSON."""
        self._texts = texts
        self._headers = headers
        self._given = bytearray()
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._given += data
        head, found, body = bytes(self._given).partition(b"\r\n\r\n")
        if not found or not (length := _LENGTH.search(head)) or len(body) < int(length[1]):
            return
        self._given.clear()
        asked = json.loads(json.loads(body)["messages"][0])
        parts = [b'{"messages": ["', self._headers]
        if asked["event"] == "request_documents":
            parts[1] = rb"{\"event\": \"update_documents\", \"documents\": ["
            for one in asked["ids"]:
                parts += (self._texts[one], b", ")
            parts[-1] = b"]}"
        parts.append(b'"]}')
        self._transport.writelines([_HEAD % sum(map(len, parts)), *parts])


def _in_text(given: Any) -> bytes:
    """JSON of it, as part of a text in JSON."""
    return json.dumps(json.dumps(given))[1:-1].encode()


async def _serve(documents: int, *, digits: bool) -> None:
    farm = FarmDocuments(corpus(), documents, digits=digits)
    texts = {id: _in_text(farm.document(id)) for id in farm.ids}
    headers = _in_text({"event": "update_headers", "headers": farm.headers})
    server = await asyncio.get_running_loop().create_server(lambda: _Answers(texts, headers), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    began = time.process_time()
    await asyncio.to_thread(sys.stdin.read)
    print(time.process_time() - began, flush=True)


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), digits="digits" in sys.argv[2:]))
