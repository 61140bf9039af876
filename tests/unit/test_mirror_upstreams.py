"""Upstreams in the description, and their documents as records, whatever is in them."""

from __future__ import annotations

import asyncio
import json
import ssl
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from countingroom.app.mirror import redactor_in_force, upstream_plan
from countingroom.app.mirror_policy import policy
from countingroom.cli.check import app as check
from countingroom.core.errors import ConfigurationError, LinkError
from countingroom.core.messages import Malformed
from countingroom.core.mirror.dqm_documents import DocumentHeader, raw_document, read_headers, read_status
from countingroom.mirror.grabber.link import HttpLink, UpstreamAccess
from countingroom.mirror.upstream_section import PublicStoreSection, UpstreamSection
from countingroom.testing.clock import FakeClock
from tests.grabber_stand import redactor

DESCRIPTION = """\
experiment: {name: x}
mirror:
  key: {env: MIRROR_KEY}
  publish: {run_client: {run: {integer: [1, 9]}}}
  store: {url: "sqlite:////tmp/public.sqlite"}
  upstreams:
    farm:
      url: https://dqm.lab.org/dqm
      set: production
      hosts: [fu-1, bu-1]
      secret: {env: DQM_SECRET}
"""
URL, HOSTS, STORE = "url: https://dqm.lab.org/dqm", "hosts: [fu-1, bu-1]", '{url: "sqlite:////tmp/public.sqlite"}'
HEADER = DocumentHeader("dqm-source-state-run7-hostfu-1.cms-pid000041", 5, "dqm-source-state")


@pytest.mark.parametrize(
    ("old", "new", "line", "told"),
    [
        (URL, "url: dqm.lab.org", 8, "the address of an upstream"),
        (URL, "url: http://dqm.lab.org", 11, "encrypted only"),
        (URL, URL + "\n      over: websocket", 11, "for itself alone"),
        (URL, URL + "\n      tls: {key: a.pem}", 9, "give certificate too"),
        (HOSTS, "hosts: [fu-1, fu-1]", 10, "read twice"),
        (HOSTS, "hosts: ['fu-1/x?y']", 10, "pattern"),
        ("set: production", "set: other", 9, "production"),
        ("    farm:", "    _templates:", 7, "choose another name"),
        (STORE, "{url: 'sqlite:////a', secret: {env: X}}", 5, "one of both"),
        (STORE, "{url: 'postgresql://me:pw@db/public'}", 5, "remove the password"),
        ("  publish: {run_client: {run: {integer: [1, 9]}}}\n", "", 5, "nothing of them leaves"),
    ],
)
def test_mistakes_are_told_with_their_place(tmp_path: Path, old: str, new: str, line: int, told: str) -> None:
    assert old in DESCRIPTION
    (tmp_path / "experiment.yaml").write_text(DESCRIPTION.replace(old, new))
    done = CliRunner().invoke(check, [str(tmp_path / "experiment.yaml")])
    assert done.exit_code == 2
    assert f"experiment.yaml:{line}" in done.output
    assert told in " ".join(done.output.split())


def test_names_of_upstreams_never_leave_and_aliases_change_with_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIRROR_KEY", "k" * 32)
    file = tmp_path / "experiment.yaml"
    file.write_text(DESCRIPTION.replace("  store:", "  rotate: 10 d\n  store:"))
    clock = FakeClock()
    rules = policy(file, clock.now_ns() / 1e9)
    assert {("host", "fu-1"), ("host", "bu-1"), ("host", "dqm.lab.org")} <= set(rules.names)
    now = redactor_in_force(rules, clock)
    first = now()
    assert now() is first
    clock.step(11 * 86400)
    assert now().alias("host", "fu-1").value != first.alias("host", "fu-1").value
    assert now().lasting("document", "a").value == first.lasting("document", "a").value


def test_a_secret_or_certificate_that_cannot_be_read_refuses_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    section = {"url": "https://dqm.lab.org", "set": "playback", "secret": {"env": "DQM_SECRET"}}
    with pytest.raises(ConfigurationError, match="DQM_SECRET"):
        upstream_plan("farm", UpstreamSection.model_validate(section), tmp_path)
    monkeypatch.setenv("DQM_SECRET", "s")
    (tmp_path / "ca.pem").write_text("no certificate")
    with pytest.raises(ConfigurationError, match="certificates"):
        upstream_plan("farm", UpstreamSection.model_validate(section | {"tls": {"ca": "ca.pem"}}), tmp_path)
    plan = upstream_plan("farm", UpstreamSection.model_validate(section), tmp_path)
    asyncio.run(plan.link.close())
    assert (plan.set, plan.hosts, plan.every_s) == ("playback", (), 5)


def test_the_store_is_in_the_data_folder_or_where_a_secret_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert PublicStoreSection().address(tmp_path) == f"sqlite:///{tmp_path}/mirror/public.sqlite"
    monkeypatch.setenv("STORE", "postgresql://me:pw@db/public")
    secret = PublicStoreSection.model_validate({"secret": {"env": "STORE"}})
    assert secret.address(tmp_path) == "postgresql://me:pw@db/public"


async def test_the_secret_goes_to_the_upstream_alone_and_its_certificate_is_verified() -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(302, headers={"Location": "https://elsewhere.org/"})

    access = UpstreamAccess(name="farm", url="https://dqm.lab.org/dqm/", port=9215, timeout_s=5, secret="s3cr3t")
    link = HttpLink(access, transport=httpx.MockTransport(answer))
    with pytest.raises(LinkError, match="status 302"):
        await link.ask("{}", "fu-1")
    await link.close()
    (request,) = asked
    assert str(request.url) == "https://dqm.lab.org/dqm/redirect?path=fu-1&port=9215"
    assert request.headers["Cookie"] == "selenium-secret-secret=s3cr3t"
    plan = upstream_plan("farm", UpstreamSection(url="https://dqm.lab.org", set="production"), Path())
    access_of: Any = plan.link
    assert access_of._access.tls.verify_mode is ssl.CERT_REQUIRED
    await plan.link.close()


@pytest.mark.parametrize(
    "given",
    [
        [["fu-1", True, ""], ["fu-2", False, "gone"]],
        {"fu-1": [True, ""], "fu-2": {"is_up": 0, "message": "gone"}},
        [{"host": "fu-1", "up": 1}, {"host": "fu-2", "up": False, "msg": "gone"}],
    ],
)
def test_the_status_of_a_cluster_is_read_in_each_form(given: Any) -> None:
    assert read_status(given) == [("fu-1", True, ""), ("fu-2", False, "gone")]


@pytest.mark.parametrize("given", [None, 5, "up", [5], [["fu-1"]], [["fu-1", "up"]], {"fu-1": None}, [{}]])
def test_what_is_no_status_is_malformed(given: Any) -> None:
    with pytest.raises(Malformed):
        read_status(given)


@pytest.mark.parametrize(
    "text", ["", "[]", "5", '{"event":"update_headers"}', '{"event":"update_headers","headers":[{}]}']
)
def test_what_are_no_headers_is_malformed(text: str) -> None:
    with pytest.raises(Malformed):
        read_headers([text])


def test_a_document_without_a_release_or_times_is_a_record_without_them() -> None:
    found = raw_document({"_id": HEADER.id, "run": 7, "cmdline": ["/bin/cmsRun"], "tag": None}, HEADER)
    assert found is not None
    assert found.record == {"run": 7, "host": "fu-1.cms", "ended": False}
    assert (found.revision, set(found.own)) == (5, {"fu-1.cms", "fu-1", "000041"})


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
_NAMES = ("hostname", "run", "timestamp", "pid", "tag", "cmdline", "extra", "exit_code", "fi_state", "_rev", "user")
_REDACTOR = redactor()


@given(st.dictionaries(st.sampled_from(_NAMES), _JSON), st.sampled_from(["x-source-state-1", "analyze_files-2", "z"]))
def test_any_document_is_read_without_an_error(document: dict[str, Any], id: str) -> None:
    found = raw_document(document, DocumentHeader(id, 1, ""))
    if found is None:
        assert id == "z"
        return
    public = _REDACTOR.record(found.kind, found.record, found.own).public
    assert public is None or json.dumps(public.value)
