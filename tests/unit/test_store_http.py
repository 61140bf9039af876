"""Requests to a store: what an answer means, how a login is sent, and how a call is ended."""

from __future__ import annotations

import gzip
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from countingroom.core.errors import ConfigurationError, LinkError
from countingroom.core.values import Quality
from countingroom.history.port import Position
from countingroom.history.stores.influxdb import InfluxStore
from countingroom.history.stores.influxdb_section import InfluxSection
from countingroom.history.stores.store_http import StoreHttp
from countingroom.history.stores.victoriametrics import VictoriaMetricsStore
from countingroom.history.stores.victoriametrics_section import VictoriaMetricsSection
from tests.patience import PATIENCE_S
from tests.unit.test_store_lines import T0, columns

ONE = columns(("v", T0, 1.5, Quality.GOOD))
NEXT = Position(sequence=1, stored_ns=7)
EMPTY = b'{"results":[{"statement_id":0}]}'


class Server:
    """Answers writes as it is told, and questions with nothing; keeps the requests."""

    def __init__(self, *writes: httpx.Response) -> None:
        self.writes = list(writes)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if request.url.path == "/query":
            return httpx.Response(200, content=EMPTY)
        return self.writes.pop(0) if self.writes else httpx.Response(204)

    @property
    def written(self) -> list[httpx.Request]:
        return [request for request in self.requests if request.url.path != "/query"]


def influx(server: Callable[[httpx.Request], httpx.Response], **keys: Any) -> InfluxStore:
    section = InfluxSection.model_validate({"url": "https://influx.example", "database": "cr"} | keys)
    return InfluxStore("site", section, 5.0, transport=httpx.MockTransport(server))


def v2(folder: Path) -> dict[str, Any]:
    secret = folder / "token"
    secret.write_text("s3cret\n")
    return {"database": "", "bucket": "slow", "org": "lab", "token": {"file": secret}}


def test_version_2_is_written_by_its_own_address_with_a_token(tmp_path: Path) -> None:
    server = Server()
    influx(server, **v2(tmp_path)).append(ONE, NEXT, after=Position())
    asked, written, position = server.requests
    assert {request.headers["Authorization"] for request in server.requests} == {"Token s3cret"}
    assert written.url.path == "/api/v2/write"
    assert dict(written.url.params) == {"org": "lab", "bucket": "slow", "precision": "ns"}
    assert written.content == f"readings,device=caen,point=v value=1.5 {T0}".encode()
    assert position.content.startswith(b"countingroom_position,store=site sequence=1i,stored_ns=7i ")
    assert b"db=slow" in asked.content


def test_a_missing_bucket_says_how_it_is_made(tmp_path: Path) -> None:
    store = influx(Server(httpx.Response(404, text='{"code":"not found"}')), **v2(tmp_path))
    with pytest.raises(LinkError) as missing:
        store.append(ONE, NEXT, after=Position())
    assert "influx bucket create --org lab --name slow" in missing.value.cause.suggestion


@pytest.mark.parametrize(
    ("status", "code"), [(401, "store_denied"), (403, "store_denied"), (429, "store_busy"), (503, "store_busy")]
)
def test_an_answer_that_means_not_now_is_tried_again(status: int, code: str) -> None:
    server = Server(httpx.Response(status, text="no"))
    with pytest.raises(LinkError) as failed:
        influx(server).append(ONE, NEXT, after=Position())
    assert failed.value.cause.code == code
    assert failed.value.cause.source == "history.stores.site"
    assert len(server.written) == 1  # and no position after it


def test_samples_that_are_too_large_a_body_are_halved() -> None:
    server = Server(httpx.Response(413), httpx.Response(204), httpx.Response(204))
    influx(server).fill(columns(("v", T0, 1.0, Quality.GOOD), ("v", T0 + 1, 2.0, Quality.GOOD)))
    assert [len(request.content.splitlines()) for request in server.written] == [2, 1, 1]


def test_a_position_that_is_refused_is_no_success() -> None:
    server = Server(httpx.Response(204), httpx.Response(400, text="unable to parse"))
    with pytest.raises(LinkError, match="does not take the position"):
        influx(server).append(ONE, NEXT, after=Position())


@pytest.mark.parametrize("body", [b"<html>", b'{"results":[{"error":"not executed"}]}'])
def test_an_answer_of_another_server_is_an_error(body: bytes) -> None:
    with pytest.raises(LinkError):
        influx(lambda _: httpx.Response(200, content=body)).position()
    section = VictoriaMetricsSection(url="http://vm.example")
    store = VictoriaMetricsStore(
        "vm", section, 5.0, transport=httpx.MockTransport(lambda _: httpx.Response(200, content=b"<html>"))
    )
    with pytest.raises(LinkError):
        store.position()


def test_a_large_body_is_compressed_for_another_machine() -> None:
    seen: list[httpx.Request] = []

    def take(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(204)

    for url in ("http://vm.example", "http://127.0.0.1:1"):
        http = StoreHttp(url, source="x", timeout_s=1, transport=httpx.MockTransport(take))
        http.post("/w", {}, b"x" * 5000)
    far, near = seen
    assert gzip.decompress(far.content) == near.content == b"x" * 5000
    assert (far.headers["Content-Encoding"], "Content-Encoding" in near.headers) == ("gzip", False)


def test_an_abort_ends_the_call_that_waits_and_no_other() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        store = influx_at(silent.getsockname()[1])
        store.abort()  # nothing is under way: nothing happens
        got: list[LinkError] = []

        def ask() -> None:
            try:
                store.position()
            except LinkError as error:
                got.append(error)

        asking = threading.Thread(target=ask)
        asking.start()
        connection, _ = silent.accept()
        connection.recv(1)
        store.abort()
        asking.join(PATIENCE_S)
        assert not asking.is_alive()
        connection.close()
        assert "ended at its deadline" in got[0].cause.message
    with pytest.raises(LinkError, match="not reached"):
        store.position()


def influx_at(port: int) -> InfluxStore:
    return InfluxStore("site", InfluxSection(url=f"http://127.0.0.1:{port}", database="cr"), 60.0)


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"database": "a", "bucket": "b", "org": "o", "token": {"env": "T"}},
        {"bucket": "b"},
        {"database": "a", "token": {"env": "T"}},
        {"database": "a", "user": "u"},
        {"database": "a", "url": "http://user:secret@host"},
        {"database": "a", "url": "influx.example"},
    ],
)
def test_a_section_that_cannot_work_is_refused(keys: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        InfluxSection.model_validate(keys)


def test_a_login_and_certificates_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        influx(Server(), user="u", password={"file": tmp_path / "none"})
    with pytest.raises(ConfigurationError, match="certificates"):
        influx(Server(), tls_ca=tmp_path / "none")
    with pytest.raises(ValidationError):
        VictoriaMetricsSection.model_validate({"user": "u", "password": {"env": "A"}, "token": {"env": "B"}})
