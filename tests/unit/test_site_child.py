"""The public site as a child of `up`: when it begins, what it is given, and what a description may say of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from countingroom.app.deploy.described import plan_of
from countingroom.app.site_child import environment, site_child
from countingroom.app.supervisor import ChildChange
from countingroom.core.clock import SystemClock
from countingroom.core.errors import ConfigurationError
from countingroom.experiment import Invalid, load
from countingroom.mirror.description import MirrorSection
from countingroom.mirror.store.store import PublicStore
from tests.patience import PATIENCE_S

KEY = "mirror: { key: { env: MIRROR_KEY }, publish: { run: default }"


def section(tmp_path: Path, **site: object) -> MirrorSection:
    given = {"key": {"env": "MIRROR_KEY"}, "publish": {"run": "default"}, "site": site}
    return MirrorSection.model_validate({**given, "store": {"url": f"sqlite:///{tmp_path}/public.sqlite"}})


async def test_it_may_have_a_user_of_the_database_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("READER", "postgresql://reader@db/public")
    child = site_child(section(tmp_path, secret={"env": "READER"}), tmp_path, SystemClock(), logging.debug)
    assert child is not None
    assert child._parameters()["store"] == "postgresql://reader@db/public"  # pyright: ignore[reportPrivateUsage]


async def test_it_waits_for_the_store_and_then_answers(tmp_path: Path, free_port: Callable[[], int]) -> None:
    changes: list[ChildChange] = []
    port = free_port()
    child = site_child(section(tmp_path, port=port, title="Here"), tmp_path, SystemClock(), changes.append)
    assert child is not None
    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:
        running = group.create_task(child.run())
        assert (await child.ready())["address"] == f"http://127.0.0.1:{port}/"
        store = PublicStore(f"sqlite:///{tmp_path}/public.sqlite", SystemClock())
        await store.open()
        async with httpx.AsyncClient(timeout=PATIENCE_S) as client:
            assert "Here" in (await client.get(f"http://127.0.0.1:{port}/")).text
        await store.close()
        running.cancel()
    assert [one.name for one in changes] == ["site"]


def test_secrets_of_the_environment_stay_with_the_parent() -> None:
    given = {"PATH": "/bin", "MIRROR_KEY": "k", "COUNTINGROOM_DATABASE": "u", "TZ": "UTC", "LD_PRELOAD": "x"}
    assert environment(given) == {"PATH": "/bin", "TZ": "UTC"}


def test_without_the_section_there_is_no_process(tmp_path: Path) -> None:
    given = MirrorSection.model_validate({"key": {"env": "MIRROR_KEY"}, "publish": {"run": "default"}})
    assert site_child(given, tmp_path, SystemClock(), logging.debug) is None


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (f"{KEY}, site: {{ url: status.example.org }} }}", "https://HOST/PATH"),
        (f"{KEY}, feed: {{ to: 'https://x.org:1', token: {{ env: T }} }}, site: {{}} }}", "not written here"),
        ("mirror: { site: {} }", "not written here"),
    ],
)
def test_a_site_that_has_nothing_to_show_is_refused(text: str, what: str, tmp_path: Path) -> None:
    file = tmp_path / "experiment.yaml"
    file.write_text(f"experiment: {{ name: lab }}\n{text}\n")
    with pytest.raises((Invalid, ConfigurationError), match=what):
        load(file)


def test_a_deployment_has_one_site(tmp_path: Path) -> None:
    file = tmp_path / "experiment.yaml"
    file.write_text(f"experiment: {{ name: lab }}\n{KEY}, site: {{ host: 0.0.0.0, port: 8099 }} }}\n")
    made = plan_of(file, image="x")
    assert not made.has_site and [(one.name, one.number) for one in made.ports] == [("site", 8099)]
