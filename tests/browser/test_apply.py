"""An edited description is applied from the page of configurations; conflicts are decided there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Requester, serious
from tests.system.running import Running, until, up

DESCRIPTION = """
experiment: {name: bench}
runs:
  templates:
    plain: {levels: [{name: all, members: [detectors], loss: error}]}
  systems: {STS: {}, TRD: {}}
  configurations:
    STS: {beam: {threshold: 1}}
    TRD: {beam: {gain: 1}}
  tags: {beam: {STS: beam, TRD: beam}}
  partitions: {A: {template: plain, detectors: [STS, TRD], tag: beam}}
"""


def save(running: Running, system: str, parameters: str) -> None:
    arguments = {"system": system, "tag": "beam", "parameters": parameters}
    path = "/api/v1/experiment/commands/save_configuration"
    answer = running.http.post(path, json={"arguments": arguments, "wait_s": 20})
    assert answer.status_code == 200, answer.text


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """An experiment whose configurations were changed by a user, and in the description too."""
    place = tmp_path_factory.mktemp("apply")
    file, data = place / "experiment.yaml", place / "data"
    file.write_text(DESCRIPTION)
    with up(file, data) as running:
        until(lambda: running.get("/partitions")["partitions"], "it is owned")
        save(running, "STS", '{"threshold": 5}')
        save(running, "TRD", '{"gain": 5}')
    file.write_text(DESCRIPTION.replace("threshold: 1", "threshold: 2").replace("gain: 1", "gain: 2"))
    with up(file, data) as running:
        until(lambda: running.get("/apply/plan")["counts"] == {"conflict": 2}, "both are conflicts")
        yield running


def test_each_conflict_is_decided_before_the_description_is_applied(requester: Requester) -> None:
    requester.until(lambda: "differs" in requester.demo.http.get("/configurations").text, "the page knows")
    page = requester.open("/configurations")
    page.locator("#apply").click()
    expect(page.locator("#apply-wrong")).to_contain_text("Choose for configuration.STS.beam, configuration.TRD.beam")
    page.locator('[data-take="configuration.STS.beam"]').select_option("description")
    page.locator('[data-take="configuration.TRD.beam"]').select_option("database")
    requester.picture("configurations-conflicts-light")
    assert serious(page) == []
    page.locator("#apply").click()
    dialog = page.locator("#confirm")
    expect(dialog).to_contain_text("1 to update, 1 to leave, or nothing")
    dialog.locator(".acts button").last.click()
    expect(page.locator("#description")).to_have_count(0)
    held = {name: requester.demo.get(f"/configurations/{name}/beam")["parameters"] for name in ("STS", "TRD")}
    assert held == {"STS": {"threshold": 2}, "TRD": {"gain": 5}}
    assert not requester.demo.get("/apply/plan")["differs"]
