"""The API shows the present of the bus, sends commands on, and makes every refusal a Cause with its status."""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator

import httpx
import pytest
from fastapi import FastAPI

from countingroom.core.alarms.queries import EngineFigures
from countingroom.core.clock import SystemClock
from countingroom.core.errors import Cause
from countingroom.core.messages import EventKind, encode
from countingroom.core.series import (
    QueryRefusal,
    RangeQuery,
    RangesQuery,
    Series,
    SeriesAnswer,
    SeriesListAnswer,
)
from countingroom.history.metrics import HistoryMetrics
from countingroom.testing.clock import FakeClock
from tests.console.stage import Stage, served, stage
from tests.figures import console_figures_with


@pytest.fixture
async def here() -> AsyncGenerator[Stage]:
    async with stage(SystemClock()) as playing:
        yield playing


@pytest.fixture
async def web(here: Stage) -> AsyncGenerator[httpx.AsyncClient]:
    async with served(here) as (app, client):
        app.state.context.feed.tick()
        yield client


async def test_without_an_mqtt_listener_nothing_is_kept_for_its_clients(web: httpx.AsyncClient) -> None:
    post = functools.partial(web.post, "/api/v1/mqtt/clear")
    assert (await post(json={"sessions": "some"})).status_code == 422
    for answer in (await web.get("/api/v1/mqtt"), await post(json={}), await post(json={"sessions": True})):
        assert answer.status_code == 404
        assert "no MQTT listener" in answer.json()["cause"]["message"]


async def test_devices_are_listed_with_state_channels_and_what_is_abnormal(web: httpx.AsyncClient) -> None:
    devices = {one["device"]: one for one in (await web.get("/api/v1/devices")).json()["devices"]}
    assert devices["caen"]["state"]["state"] == "HV_ON"
    assert devices["caen"]["channels"] == {"0": "HV_ON", "1": "HV_ON", "2": "HV_ON"}
    assert devices["chiller"]["abnormal"] == {"1": 0, "2": 0, "3": 0}
    assert devices["chiller"]["stale"] == 0


async def test_a_device_tells_its_catalogue_states_and_readings(web: httpx.AsyncClient) -> None:
    told = (await web.get("/api/v1/devices/caen")).json()
    assert [point["name"] for point in told["catalogue"]["points"]][:2] == ["0.hv_setV", "0.hv_vMon"]
    assert told["channels"]["1"]["state"] == "HV_ON"
    value, quality, device_ns, received_ns = told["readings"]["0.hv_vMon"]
    assert (value, quality) == (5.0, 0)
    assert device_ns == received_ns


async def test_a_point_is_told_with_its_reading_and_an_unknown_one_is_not_found(web: httpx.AsyncClient) -> None:
    told = (await web.get("/api/v1/devices/caen/points/0.hv_iMon")).json()
    assert told["point"]["limits"]["alarm_high"] == 10.0
    assert told["reading"]["value"] == 5.0
    missing = await web.get("/api/v1/devices/caen/points/nothing")
    assert missing.status_code == 404
    assert missing.json()["cause"]["code"] == "not_found"
    assert (await web.get("/api/v1/devices/nobody")).json()["cause"]["suggestion"] == "devices: caen, chiller"


async def test_a_value_of_which_the_host_is_gone_or_the_bus_silent_is_stale() -> None:
    clock = FakeClock()
    async with stage(clock) as here, served(here) as (app, web):
        feed = app.state.context.feed

        async def told() -> tuple[int, int, str]:
            feed.tick()
            point = (await web.get("/api/v1/devices/caen/points/0.hv_iMon")).json()["reading"]
            device = (await web.get("/api/v1/devices/caen")).json()
            assert point["value"] == device["readings"]["0.hv_iMon"][0] == 5.0
            assert device["reasons"].get("0.hv_iMon", "") == point["reason"]
            return point["quality"], device["readings"]["0.hv_iMon"][1], point["reason"]

        for _ in range(10):
            await here.beat("caen", "chiller")
            await clock.advance(1.0)
        assert await told() == (0, 0, "")
        await clock.advance(4.0)
        assert await told() == (2, 2, "its device host is gone or sends no heartbeat")
        await here.beat("caen", "chiller")
        await clock.advance(0.6)
        assert await told() == (0, 0, "")
        for _ in range(200):  # the host beats, and what serves the device does nothing any more
            await here.beat("caen", "chiller")
            await clock.advance(1.0)
        assert (await told())[:2] == (2, 2)


async def test_a_command_goes_to_its_owner_in_the_local_users_name(here: Stage, web: httpx.AsyncClient) -> None:
    body = {"arguments": {"point": "0.hv_setV", "value": 120.0}, "channel": "0", "seen_state": "HV_ON"}
    answer = await web.post("/api/v1/devices/caen/commands/set", json=body)
    assert answer.status_code == 202
    subject, command = here.asked[-1]
    assert subject == "command.local.devices.caen"
    assert (command.action, command.channel, command.seen_state) == ("set", "0", "HV_ON")
    assert command.arguments == {"point": "0.hv_setV", "value": 120.0}
    assert command.origin == "api 127.0.0.1"
    assert answer.json() == {"id": command.id, "accepted": True}


@pytest.mark.parametrize("issued_ns", [0, 1, 2**63, 2**64 - 1])
async def test_whatever_time_a_client_gives_its_command_was_sent_by_the_clock_of_the_console(
    here: Stage, web: httpx.AsyncClient, issued_ns: int
) -> None:
    """Else the owner takes the difference for that of the user's clock, and refuses the next commands as too late."""
    body = {"arguments": {"point": "0.hv_setV", "value": 120.0}, "issued_ns": issued_ns}
    assert (await web.post("/api/v1/devices/caen/commands/set", json=body)).status_code == 202
    _, command = here.asked[-1]
    assert abs(command.issued_ns + command.age_s * 1e9 - SystemClock().now_ns()) < 30e9


async def test_waiting_for_a_command_gives_its_outcome_by_event(here: Stage, web: httpx.AsyncClient) -> None:
    answer = await web.post("/api/v1/devices/caen/commands/lv_on", json={"wait_s": 5, "id": "mine"})
    assert answer.status_code == 200
    assert answer.json()["outcome"]["kind"] == "done"
    here.outcome = EventKind.FAILED
    answer = await web.post("/api/v1/devices/caen/commands/lv_on", json={"wait_s": 5})
    assert answer.json()["outcome"]["kind"] == "failed"


async def test_an_outcome_that_does_not_come_is_unknown_not_failed(here: Stage, web: httpx.AsyncClient) -> None:
    here.outcome = None
    answer = await web.post("/api/v1/devices/caen/commands/lv_on", json={"wait_s": 0.01})
    assert answer.status_code == 504
    assert answer.json()["cause"]["code"] == "timeout"
    assert "ask for the state" in answer.json()["cause"]["suggestion"]


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("not_allowed", 409),
        ("conflict", 409),
        ("out_of_range", 422),
        ("denied", 403),
        ("not_found", 404),
        *((code, 422) for code in ("wrong_argument", "unknown_argument", "missing_argument", "wrong_scope")),
    ],
)
async def test_a_refusal_has_the_status_of_its_code(
    here: Stage, web: httpx.AsyncClient, code: str, status: int
) -> None:
    here.refuse = Cause(code=code, message="no", source="devices.caen")
    answer = await web.post("/api/v1/devices/caen/commands/lv_on")
    assert answer.status_code == status
    assert answer.json()["cause"]["message"] == "no"


async def test_a_device_nobody_answers_for_is_unreachable(here: Stage, web: httpx.AsyncClient) -> None:
    answer = await web.post("/api/v1/simulators/caen/faults/trip", json={"arguments": {"channel": "0"}})
    assert answer.status_code == 503
    assert answer.json()["cause"]["code"] == "unreachable"


@pytest.mark.parametrize("body", [{"unknown": 1}, {"wait_s": -1}, {"arguments": {"value": [1]}}, {"deadline_s": 0}])
async def test_a_body_that_is_wrong_is_told_what_is_wrong(web: httpx.AsyncClient, body: dict[str, object]) -> None:
    answer = await web.post("/api/v1/devices/caen/commands/set", json=body)
    assert answer.status_code == 422
    assert next(iter(body)) in answer.json()["cause"]["message"] or answer.json()["cause"]["causes"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ('{"arguments": {"point": "0.hv_setV", "value": 123456789012345678901234567890}}', 422, "invalid"),
        ('{"issued_ns": 99999999999999999999999}', 422, "invalid"),
        ('{"arguments": {"point": "0.hv_setV", "value": "\\ud800"}}', 400, "malformed"),
        ('{"id": "\\udfff"}', 400, "malformed"),
    ],
)
async def test_what_cannot_be_sent_on_is_refused_with_its_cause(
    here: Stage, web: httpx.AsyncClient, body: str, status: int, code: str
) -> None:
    before = len(here.asked)
    headers = {"Content-Type": "application/json"}
    answer = await web.post("/api/v1/devices/caen/commands/set", content=body, headers=headers)
    assert (answer.status_code, answer.json()["cause"]["code"]) == (status, code)
    assert len(here.asked) == before


SERIES = Series(
    point="caen.0.hv_vMon",
    resolution="raw",
    time_ns=[1_700_000_000_000_000_000, 1_700_000_001_000_000_000],
    mean=[1.5, None],
    low=[1.5, None],
    high=[1.5, None],
    quality=[0, 3],
    count=[1, 1],
    text=["=danger", None],
)


async def test_the_past_is_asked_of_the_history(here: Stage, web: httpx.AsyncClient) -> None:
    asked: list[RangeQuery] = []

    async def answer(message: object) -> bytes:
        from countingroom.core.messages import decode

        asked.append(decode(message.data, RangeQuery))  # type: ignore[attr-defined]
        return encode(SeriesAnswer(series=SERIES))

    missing = await web.get("/api/v1/history", params={"point": "caen.0.hv_vMon"})
    assert (missing.status_code, missing.json()["cause"]["message"]) == (503, "the history is not running")
    async with here.bus.client().respond("query.history.range", answer):
        told = await web.get("/api/v1/history?point=caen.0.hv_vMon&from=2023-11-14T22:00:00Z&to=2023-11-14T23:00:00Z")
        assert told.json()["mean"] == [1.5, None]
        assert asked[0].end_ns - asked[0].start_ns == 3600 * 10**9
        text = (await web.get("/api/v1/history?point=a.b&format=csv")).text.splitlines()
    assert text[0] == "point,time,mean,low,high,quality,count,text,unit"
    assert text[1] == "caen.0.hv_vMon,2023-11-14T22:13:20Z,1.5,1.5,1.5,GOOD,1,'=danger,V"
    assert text[2].startswith("caen.0.hv_vMon,2023-11-14T22:13:21Z,,,,BAD")


async def test_several_points_are_asked_in_one_question(here: Stage, web: httpx.AsyncClient) -> None:
    asked: list[RangesQuery] = []

    async def answer(message: object) -> bytes:
        from countingroom.core.messages import decode

        asked.append(decode(message.data, RangesQuery))  # type: ignore[attr-defined]
        return encode(SeriesListAnswer(series=[SERIES] * len(asked[-1].points)))

    async with here.bus.client().respond("query.history.ranges", answer):
        several = await web.get("/api/v1/history?point=a.b&point=a.c&from=-1h&max_points=100")
        assert len(several.json()["series"]) == 2
        large = "&".join(f"point=a.p{number}" for number in range(8))
        assert len((await web.get(f"/api/v1/history?{large}&max_points=4000")).json()["series"]) == 8
    assert [len(question.points) for question in asked] == [2, 4, 4]


async def test_a_refusal_of_the_history_is_passed_on(here: Stage, web: httpx.AsyncClient) -> None:
    async def answer(_: object) -> bytes:
        return encode(QueryRefusal(cause=Cause(code="not_found", message="never heard of it")))

    async with here.bus.client().respond("query.history.range", answer):
        told = await web.get("/api/v1/history?point=a.b")
    assert (told.status_code, told.json()["cause"]["message"]) == (404, "never heard of it")
    wrong = await web.get("/api/v1/history?point=a.b&from=20261328")
    assert (wrong.status_code, wrong.json()["cause"]["code"]) == (422, "wrong_time")


async def test_events_are_read_newest_first_page_by_page(here: Stage, web: httpx.AsyncClient) -> None:
    for number in range(7):
        await here.event("caen" if number % 2 else "chiller")
    await here.event("caen", EventKind.REFUSED, message="the last")
    first = (await web.get("/api/v1/events?limit=3")).json()
    assert [event["message"] for event in first["events"]] == ["the last", "event 7", "event 6"]
    second = (await web.get(f"/api/v1/events?limit=3&before={first['next_before']}")).json()
    assert [event["message"] for event in second["events"]] == ["event 5", "event 4", "event 3"]
    last = (await web.get(f"/api/v1/events?limit=30&before={second['next_before']}")).json()
    assert [event["message"] for event in last["events"]] == ["event 2", "event 1"]
    assert last["next_before"] is None
    only = (await web.get("/api/v1/events?source=caen&kind=refused")).json()
    assert [event["message"] for event in only["events"]] == ["the last"]


async def test_events_are_searched_by_text_and_time_and_exported(here: Stage, web: httpx.AsyncClient) -> None:
    await here.event("caen", message="before")
    middle = here.clock.now_ns() + 1
    await here.event("caen", message="The Gas refill", time_ns=middle + 10)
    await here.event("chiller", message="=later", time_ns=middle + 20)

    async def told(query: str) -> list[str]:
        return [event["message"] for event in (await web.get(f"/api/v1/events?{query}")).json()["events"]]

    assert await told("text=gas") == ["The Gas refill"]
    assert await told("text=GAS&source=chiller") == []
    assert await told(f"from={middle}") == ["=later", "The Gas refill"]
    assert await told(f"from={middle}&to={middle + 15}") == ["The Gas refill"]
    assert (await web.get("/api/v1/events?from=soon")).json()["cause"]["code"] == "wrong_time"
    rows = (await web.get(f"/api/v1/events/export?from={middle}")).text.splitlines()
    assert rows[0].startswith("sequence,time,severity")
    assert [row.split(",")[8] for row in rows[1:]] == ["'=later", "The Gas refill"]
    file = await web.get("/api/v1/events/export?format=json&text=gas")
    assert [event["message"] for event in file.json()["events"]] == ["The Gas refill"]
    assert "events.json" in file.headers["content-disposition"]


async def test_health_readiness_and_figures(here: Stage, web: httpx.AsyncClient) -> None:
    assert (await web.get("/healthz")).status_code == 200
    assert (await web.get("/readyz")).json()["devices"] == 2
    figures = (await web.get("/metrics")).text
    assert 'countingroom_device_points{as="normal",device="chiller"} 4.0' in figures
    assert "countingroom_bus_connected 1.0" in figures


async def test_the_figures_of_the_history_are_among_those_of_the_console(here: Stage, web: httpx.AsyncClient) -> None:
    metrics = HistoryMetrics()
    metrics.points.inc(7)

    async def answer(_: object) -> bytes:
        return metrics.text()

    async with here.bus.client().respond("query.history.metrics", answer):
        figures = await console_figures_with(web, "countingroom_history_points_total 7.0")
    names = {line.split()[2] for line in figures.splitlines() if line.startswith("# TYPE")}
    assert {"countingroom_bus_connected", "countingroom_history_delay_seconds"} <= names
    assert figures.count("# TYPE") == len(names)


async def test_the_figures_of_the_alarm_engine_are_among_those_of_the_console(
    here: Stage, web: httpx.AsyncClient
) -> None:
    told = EngineFigures(
        evaluations=7, announced=(1, 2, 3, 4), announced_10min=10, in_flood=True, batches=4, delay_s=0.5
    )

    async def answer(_: object) -> bytes:
        return encode(told)

    assert "countingroom_alarm_evaluations" not in (await web.get("/metrics")).text
    async with here.bus.client().respond("query.alarms.metrics", answer):
        text = await console_figures_with(web, "countingroom_alarm_evaluations_total 7.0")
    figures = text.splitlines()
    for line in (
        "countingroom_alarm_evaluations_total 7.0",
        'countingroom_alarm_announcements_total{priority="3"} 3.0',
        "countingroom_alarm_announced_10min 10.0",
        "countingroom_alarm_flood 1.0",
        "countingroom_alarm_delay_seconds_count 4.0",
        "countingroom_alarm_delay_seconds_sum 0.5",
        'countingroom_alarms_open{priority="1"} 0.0',
        "countingroom_alarms_shelved 0.0",
    ):
        assert line in figures


async def test_the_api_describes_itself_with_an_example_for_every_answer(web: httpx.AsyncClient) -> None:
    told = (await web.get("/openapi.json")).json()
    for path, methods in told["paths"].items():
        for operation in methods.values():
            assert operation["tags"], path
            assert operation["summary"], path
    assert "/api/v1/devices/{device}/commands/{command}" in told["paths"]


async def test_pages_show_text_of_others_as_text(web: httpx.AsyncClient) -> None:
    for path in ("/", "/devices/caen", "/devices/chiller", "/trends", "/events"):
        page = await web.get(path, headers={"accept": "text/html"})
        assert page.status_code == 200
        assert "<b>north</b>" not in page.text
        assert "Test &lt;hall&gt;" in page.text
        assert "NaN" not in page.text
    assert "&lt;i&gt;ok&lt;/i&gt;" in (await web.get("/devices/chiller")).text
    missing = await web.get("/devices/nobody", headers={"accept": "text/html"})
    assert missing.status_code == 404
    assert "there is no device" in missing.text


async def test_without_the_bus_it_is_alive_but_not_ready_and_commands_are_not_sent() -> None:
    async with stage(SystemClock()) as here:
        bus = here.bus.client()
        from countingroom.console.app import create

        app: FastAPI = create(bus, here.clock, title="t", version="1")
        async with app.router.lifespan_context(app):
            await app.state.context.latest.ready()
            bus.cut()
            transport = httpx.ASGITransport(app=app)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as web:
                assert (await web.get("/healthz")).status_code == 200
                assert (await web.get("/readyz")).status_code == 503
                answer = await web.post("/api/v1/devices/caen/commands/lv_on")
                assert answer.status_code == 503
                assert here.asked == []


async def test_what_nobody_foresaw_is_a_cause_too(here: Stage, caplog: pytest.LogCaptureFixture) -> None:
    async with served(here) as (app, _):
        app.state.context.feed.tick()
        app.state.context.device_rows = None  # as broken as can be
        outside = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=outside, base_url="http://127.0.0.1") as web:
            answer = await web.get("/api/v1/devices")
    assert answer.status_code == 500
    assert answer.json()["cause"]["code"] == "internal"
    assert answer.json()["cause"]["suggestion"]
    assert "/api/v1/devices failed" in caplog.text
