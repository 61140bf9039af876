"""The control room: what is not allowed never reaches the upstream and is audited; what is shown is what is sent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countingroom.cli.main import run
from countingroom.core.commands.upstreams import READS, UPSTREAMS, allowed
from countingroom.core.errors import CountingRoomError, LinkError
from countingroom.core.mirror.upstream_actions import MOST_BYTES, answer_text, checked, request_of
from countingroom.mirror.description import MirrorSection
from countingroom.mirror.grabber.link import messages_asked
from tests.console.control_stage import BASE, FU, SECRET, control_console, control_stage
from tests.console.people import ORIGIN

OVER = pytest.mark.parametrize("over", ["http", "websocket"])
BAD: list[tuple[str, dict[str, Any], str]] = [
    ("drop_ids", {}, "not_found"),
    ("info", {"host": FU}, "unknown_argument"),
    ("restart_hltd", {}, "missing_argument"),
    ("restart_hltd", {"host": "fu-01;reboot"}, "wrong_argument"),
    ("restart_hltd", {"host": "other"}, "wrong_argument"),
    ("change_dqm_client", {"host": FU, "client": "$(id)", "state": 1}, "wrong_argument"),
    ("change_dqm_client", {"host": FU, "client": "a", "state": 2}, "wrong_argument"),
    ("change_dqm_client", {"host": FU, "client": "a", "state": True}, "wrong_argument"),
    ("show_log", {"id": "../../etc/passwd"}, "wrong_argument"),
    ("show_log", {"id": "a\n"}, "wrong_argument"),
    ("control_command", {"socket": "simulator", "command": "halt"}, "wrong_argument"),
    ("start_playback_run", {"run_number": 1.5, "run_key": "pp_run", "number_of_ls": 3}, "wrong_argument"),
    ("start_playback_run", {"run_number": "٣", "run_key": "pp_run", "number_of_ls": 3}, "wrong_argument"),
]


@pytest.mark.parametrize(("action", "arguments", "code"), BAD)
def test_what_has_not_its_form_is_refused(action: str, arguments: Mapping[str, Any], code: str) -> None:
    with pytest.raises(CountingRoomError) as refused:
        checked(action, arguments, [FU])
    assert refused.value.cause.code == code
    assert refused.value.cause.suggestion


@given(
    st.sampled_from(list(UPSTREAMS)), st.dictionaries(st.sampled_from(["host", "id", "client", "socket"]), st.text())
)
def test_nothing_that_is_sent_leads_elsewhere(action: str, arguments: dict[str, str]) -> None:
    try:
        target = request_of(action, checked(action, arguments, [FU])).target
    except CountingRoomError:
        return
    path, _, query = target.partition("?")
    assert path.startswith(("/info", "/cr/exe", "/utils/"))
    assert not set(target) & set(" \t\r\n#\\;'\"`$|<>\0")
    assert ".." not in path.split("/")
    assert query.count("?") == 0


def test_each_action_has_a_request_and_words_of_the_description_permit_it() -> None:
    example = {"host": FU, "id": "a-1", "socket": "simulator", "run_key": "pp_run", "client": "beam", "kind": "fu"}
    for name, row in UPSTREAMS.items():
        given = {one.name: one.choices[0] if one.choices else example.get(one.name, 1) for one in row.arguments}
        assert "{" not in request_of(name, checked(name, given, [FU])).target
    assert set(allowed([READS])) == {name for name, row in UPSTREAMS.items() if not row.dangerous}
    assert allowed(["restart_hltd"]) == ("restart_hltd",)
    upstream = {
        "url": "http://127.0.0.1:1",
        "set": "playback",
        "control": {"allow": ["reads", "reboot", "restart_hltd"]},
    }
    problem, second = (
        (path, text)
        for path, text in MirrorSection.model_validate({"upstreams": {"farm": upstream}}).problems()
        if "control" in path
    )
    assert problem[0] == ("upstreams", "farm", "control", "allow", 1)
    assert "no action 'reboot'" in problem[1]
    assert second[0][-1] == 2
    assert "give control.hosts" in second[1]


def test_an_answer_is_text_without_the_secret_bounded_and_without_controls() -> None:
    assert answer_text(b'{"a.log": "1\\n2", "b.log": "3"}', "") == ("== a.log ==\n1\n2\n== b.log ==\n3", False)
    assert answer_text(b'["one", "two"]', "") == ("one\ntwo", False)
    assert answer_text(b"\x1b[31m\xff", "") == ("\\u001b[31m\\xff", False)
    for said in ("top/secret", "top%2Fsecret", '{"a": "top/secret"}'):
        text, _ = answer_text(said.encode(), "top/secret")
        assert "secret" not in text.replace("[secret]", "")
    text, is_cut = answer_text(b"x" * (MOST_BYTES - 5) + b"top/se", "top/secret")
    assert is_cut
    assert text.strip("x") == ""


@OVER
async def test_what_is_shown_is_sent_once_and_answered(over: str) -> None:
    async with control_stage(over=over) as here:
        eve, adam = await here.home.browser("eve"), await here.home.browser("adam")
        asked = await here.plan(eve, "restart_hltd", host=FU)
        plan = asked.json()
        assert plan["address"].endswith(f"/cr/exe?what=restart_hltd&host={FU}")
        assert (plan["method"], plan["is_change"], plan["left"]) == ("GET", True, 100)
        assert SECRET not in asked.text
        assert here.done == []
        for client, mark, arguments in ((adam, plan["mark"], {"host": FU}), (eve, "made-up", {"host": FU})):
            void = await here.send(client, "restart_hltd", mark, **arguments)
            assert (void.status_code, void.json()["cause"]["code"]) == (409, "plan_void")
        other = await here.send(eve, "restart_hltd", plan["mark"], host="fu-c2f12-12-02")
        assert other.json()["cause"]["code"] == "plan_void"
        sent = await here.send(eve, "restart_hltd", plan["mark"], host=FU)
        assert sent.json()["outcome"]["kind"] == "done"
        assert here.done == [f"restart_hltd {FU}"]
        again = await here.send(eve, "restart_hltd", plan["mark"], host=FU)
        assert again.json()["cause"]["code"] == "plan_void"
        old = (await here.plan(eve, "restart_hltd", host=FU)).json()["mark"]
        here.clock.ahead_s += 121
        assert (await here.send(eve, "restart_hltd", old, host=FU)).json()["cause"]["code"] == "plan_void"
        assert here.done == [f"restart_hltd {FU}"]
        assert await here.recorded("plan_void")
        accepted = [one for one in await here.home.record() if one.what == "restart_hltd" and one.outcome == "accepted"]
        assert {(one.who, one.target) for one in accepted} == {("eve", "upstream.farm")}
        told = (await eve.get("/api/v1/mirror/upstreams")).json()["upstreams"][0]["last"]
        assert [(one["action"], one["by"], one["status"]) for one in told] == [("restart_hltd", "eve", 200)]
        page = await eve.get("/control", headers={"accept": "text/html"})
        assert page.status_code == 200
        assert 'href="/control"' in page.text


@pytest.mark.server
async def test_forged_expired_and_replayed_requests_are_refused_and_audited() -> None:
    async with control_stage() as here:
        eve = await here.home.browser("eve")
        mark = (await here.plan(eve, "restart_hltd", host=FU)).json()["mark"]
        body = {"id": "one", "arguments": {"host": FU, "plan": mark}, "wait_s": 20}
        url = f"{BASE}/commands/restart_hltd"
        cookie = "; ".join(f"{name}={value}" for name, value in eve.cookies.items())
        token = eve.headers["x-countingroom"]
        forged: list[tuple[int, str, dict[str, str]]] = [
            (403, "no_token", ORIGIN | {"cookie": cookie}),
            (403, "wrong_mark", ORIGIN | {"cookie": cookie, "x-countingroom": "console"}),
            (403, "forged_origin", {"origin": "http://evil.example", "cookie": cookie, "x-countingroom": token}),
            (403, "forged_origin", {"sec-fetch-site": "cross-site", "cookie": cookie, "x-countingroom": token}),
            (401, "no_login", ORIGIN | {"x-countingroom": token}),
            (401, "forged_login", ORIGIN | {"cookie": "countingroom_8080=eve", "x-countingroom": token}),
        ]
        for status, code, headers in forged:
            answer = await here.home.client(headers).post(url, json=body)
            assert answer.status_code == status, (code, answer.text)
            assert answer.json()["cause"]["code"] == code
            assert await here.recorded(code), code
        # The reference of such sites lets a link act.
        assert (await here.home.client({"cookie": cookie}).get(f"{url}?host={FU}&plan={mark}")).status_code in (
            404,
            405,
        )
        assert here.done == []
        assert (await eve.post(url, json=body)).json()["outcome"]["kind"] == "done"
        replayed = await eve.post(url, json=body)
        assert (replayed.status_code, replayed.json()["cause"]["code"]) == (409, "repeated")
        assert await here.recorded("repeated")
        await eve.post("/api/v1/logout", json={})
        late = await here.home.client(ORIGIN | {"cookie": cookie, "x-countingroom": token}).post(url, json=body)
        assert late.status_code == 401
        assert await here.recorded(late.json()["cause"]["code"])
        assert here.done == [f"restart_hltd {FU}"]


async def test_roles_forms_the_description_and_the_rate_are_checked_before_anything_is_sent() -> None:
    async with control_stage(per_minute=2) as here:
        vera, sam, eve = [await here.home.program(name) for name in ("vera", "sam", "eve")]
        for client, action in ((vera, "info"), (sam, "restart_hltd"), (eve, "make_coffee")):
            for path, arguments in (("plan", {}), ("commands", {"plan": "x"})):
                answer = await client.post(f"{BASE}/{path}/{action}", json={"arguments": arguments})
                assert (answer.status_code, answer.json()["cause"]["code"]) == (403, "denied")
        assert (await vera.get(f"{BASE}/answers/x")).status_code == 403
        assert await here.recorded("denied")
        adam = await here.home.program("adam")
        for action, arguments, code in BAD:
            answer = await adam.post(f"{BASE}/commands/{action}", json={"arguments": {**arguments, "plan": "x"}})
            assert answer.json()["cause"]["code"] == code, (action, arguments)
            assert (await here.plan(adam, action, **arguments)).json()["cause"]["code"] == code
            assert await here.recorded(code)
        assert (await here.plan(eve, "kill_proc", id="a")).json()["cause"]["code"] == "not_permitted"
        assert (await adam.post(BASE.replace("farm", "a b") + "/commands/info", json={})).status_code == 404
        marks = [(await here.plan(sam, "info")).json()["mark"] for _ in range(4)]
        sent = [await here.send(sam, "info", mark) for mark in marks[:3]]
        assert [one.status_code for one in sent] == [200, 200, 429]
        assert 1 <= int(sent[2].headers["retry-after"]) <= 60
        assert await here.recorded("too_often")
        here.clock.ahead_s += 61
        assert (await here.send(sam, "info", marks[3])).status_code == 200


@OVER
async def test_an_upstream_that_is_dead_silent_or_wrong_ends_in_a_cause(over: str) -> None:
    async with control_stage(timeout_s=0.5, over=over) as here:
        eve = await here.home.browser("eve")
        await here.simulator.fault("refuse", {})
        failed = await here.act(eve, "restart_fff", host=FU)
        cause = failed.json()["outcome"]["cause"]
        assert (cause["code"], cause["evidence"]) == ("upstream_failed", {"status": 500})
        assert "<h1>Internal Server Error" in (await here.answer(eve, failed))["text"]
        await here.simulator.fault("restore", {})
        await here.simulator.fault("freeze", {})
        silent = await here.act(eve, "restart_hltd", host=FU)
        cause = silent.json()["outcome"]["cause"]
        assert cause["code"] == "no_answer"
        assert "whether restart_hltd was carried out is not known" in cause["message"]
        await here.simulator.fault("restore", {})
        await here.simulator.fault("drop", {})
        assert (await here.act(eve, "info")).json()["outcome"]["cause"]["code"] == "not_reached"
        last = (await eve.get("/api/v1/mirror/upstreams")).json()["upstreams"][0]["last"]
        assert [one["cause"]["code"] for one in last] == ["not_reached", "no_answer", "upstream_failed"]


async def test_an_upstream_is_acted_at_while_its_websocket_waits_for_an_answer() -> None:
    async with control_stage(over="websocket") as here:
        eve = await here.home.browser("eve")
        headers = await here.link.ask(messages_asked(None), "")
        await here.simulator.fault("dead", {"host": next(iter(here.simulator.farm.computers))})
        asking = asyncio.create_task(here.link.ask(messages_asked(None), ""))
        sent = await here.act(eve, "restart_hltd", host=FU)
        assert sent.json()["outcome"]["kind"] == "done", sent.text
        assert here.done == [f"restart_hltd {FU}"]
        assert (await here.answer(eve, sent))["sent"]["status"] == 200
        assert not asking.done()
        await here.simulator.fault("restore", {})
        assert await asking == headers
        await here.simulator.fault("drop", {})
        assert (await here.act(eve, "info")).json()["outcome"]["cause"]["code"] == "not_reached"
        with pytest.raises(LinkError):
            await here.link.ask(messages_asked(None), "")
        await here.simulator.fault("restore", {})
        assert (await here.act(eve, "info")).json()["outcome"]["kind"] == "done"
        assert await here.link.ask(messages_asked(None), "") == headers


@OVER
async def test_logs_with_html_stay_text_are_bounded_and_the_secret_is_nowhere(over: str) -> None:
    async with control_stage(over=over) as here:
        sam = await here.home.browser("sam")
        await here.simulator.fault("markup", {})
        await here.simulator.fault("long", {})
        sent = await here.act(sam, "get_hltd_logs", host=FU)
        answer = await sam.get(f"{BASE}/answers/{sent.json()['id']}")
        assert answer.headers["content-type"] == "application/json"
        assert answer.json()["sent"]["is_cut"]
        assert len(answer.json()["text"].encode()) <= MOST_BYTES
        assert "<script>" in answer.json()["text"]
        page = (await sam.get("/control", headers={"accept": "text/html"})).text
        assert "onerror" not in page
        await here.simulator.fault("restore", {})
        await here.simulator.fault("echo", {})
        echoed = await here.answer(sam, await here.act(sam, "info"))
        assert "[secret]" in echoed["text"]
        events = (await sam.get("/api/v1/events")).text
        assert "get_hltd_logs" in events
        everything = [
            str(await here.home.record()),
            str(echoed),
            (await sam.get("/api/v1/mirror/upstreams")).text,
            events,
        ]
        assert SECRET not in "".join(everything)
        assert "<script>" not in "".join(everything[0:1] + everything[2:])


def test_the_command_line_shows_asks_and_sends(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with control_console() as (url, farm):
        monkeypatch.setenv("COUNTINGROOM_URL", url)

        def say(*words: str, status: int = 0) -> str:
            assert run(["mirror", *words]) == status
            told = capsys.readouterr()
            return told.out + told.err

        assert "restart_hltd" in say("actions")
        assert f"/cr/exe?what=restart_hltd&host={FU}" in say("act", "farm", "restart_hltd", f"host={FU}", "--plan")
        assert "no terminal" in say("act", "farm", "restart_hltd", f"host={FU}", status=1)
        assert "is not among the computers" in say("act", "farm", "restart_hltd", "host=other", "--yes", status=1)
        assert farm.control.done == []
        assert f"restart_hltd {FU}" in say("act", "farm", "restart_hltd", f"host={FU}", "--yes")
        assert farm.control.done == [f"restart_hltd {FU}"]
        (sent,) = json.loads(say("actions", "--json"))["upstreams"][0]["last"]
        assert f"restart_hltd {FU}" in say("answer", "farm", sent["id"])
        told = say("act", "farm", "show_log", "id=none", "--yes", status=1)
        assert "not here" in told
        assert "with the status 404" in told
