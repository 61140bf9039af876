"""The example pages of Node-RED show and command the devices, with the listener of the bus and with mosquitto.

One Node-RED and one browser serve all tests: the API of Node-RED leads its flow from one broker to the next. The supply
and the chiller are tried at both, the others at one each: the contract of all topics has tests of its own at both."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Locator, Page, Request, async_playwright, expect

from countingroom.core.values import Quality
from tests.browser.conftest import KEEPS_PICTURES, PATIENCE_MS, ROOT, SCREENSHOTS
from tests.browser.shared_browser import FLAGS
from tests.node import node
from tests.patience import PATIENCE_S
from tests.system.tracker_stand import PASSWORD, USER, Stand, tracker_stand

EXAMPLE = ROOT / "examples" / "node-red"
RED = ROOT / "tests" / "node-red" / "node_modules" / "node-red" / "red.js"
FIRST_BUTTONS = {"caen": "caen-lv-on", "julabo": "julabo-start", "sb": "sb-lv-on", "marta": "marta-start-chiller"}
"""Of each tab, in their order: what is there when the tab is."""

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(not RED.exists(), reason="Node-RED is not installed: make node-red"),
]
only_mosquitto = pytest.mark.parametrize("stand", ["mosquitto"], indirect=True)
only_builtin = pytest.mark.parametrize("stand", ["builtin"], indirect=True)


class NodeRed:
    """A process with the example, started as the how-to says."""

    def __init__(self, place: Path) -> None:
        shutil.copytree(EXAMPLE, place, dirs_exist_ok=True)
        self.place = place
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: asyncio.subprocess.Process | None = None

    async def lead_to(self, port: int) -> None:
        """The flow as it is shipped, at this broker: the first one is in the environment, others come by the API."""
        if not self.process:
            await self._start(port)
            return
        flow: list[dict[str, Any]] = json.loads((EXAMPLE / "flows.json").read_text())
        next(node for node in flow if node["type"] == "mqtt-broker")["port"] = str(port)
        async with httpx.AsyncClient(timeout=PATIENCE_S) as client:
            (await client.post(f"{self.url}/flows", json=flow)).raise_for_status()

    async def stop(self) -> None:
        if self.process:
            with suppress(ProcessLookupError):
                self.process.kill()
            await self.process.wait()

    async def _start(self, port: int) -> None:
        broker = {"MQTT_HOST": "127.0.0.1", "MQTT_PORT": str(port), "MQTT_USER": USER, "MQTT_PASSWORD": PASSWORD}
        environment = {**os.environ, **broker, "NODE_RED_PORT": str(self.port)}
        with (self.place / "log").open("wb") as log:
            self.process = await asyncio.create_subprocess_exec(
                node(), str(RED), "--userDir", str(self.place), env=environment, stdout=log, stderr=log
            )
        async with httpx.AsyncClient() as client, asyncio.timeout(PATIENCE_S):
            while self.process.returncode is None:
                with suppress(httpx.TransportError):
                    if (await client.get(f"{self.url}/ui/")).is_success:
                        return
                await asyncio.sleep(0.05)
        raise AssertionError((self.place / "log").read_text())


class Pages:
    """The pages in a browser. An error of a script or a request to another host is kept in `wrong`."""

    def __init__(self, page: Page, node_red: NodeRed) -> None:
        self.page = page
        self.node_red = node_red
        self.wrong: list[str] = []
        page.set_default_timeout(PATIENCE_MS)
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("request", self._asked)

    async def lead_to(self, port: int) -> None:
        """The pages for this broker, opened again."""
        await self.node_red.lead_to(port)
        await self.page.goto("about:blank")

    async def open(self, tab: str) -> None:
        await self.page.goto(f"{self.node_red.url}/ui/#!/{list(FIRST_BUTTONS).index(tab)}")
        await self.at(FIRST_BUTTONS[tab]).wait_for()

    def at(self, name: str) -> Locator:
        """A widget, by its class in the flow."""
        return self.page.locator(f".{name}").first

    async def says(self, name: str, text: str) -> None:
        # Looked at with each frame: `expect` looks again after up to a second.
        seen = "([name, text]) => document.querySelector(`.${name}`)?.textContent.includes(text)"
        await self.page.wait_for_function(seen, arg=[name, text])

    async def press(self, name: str) -> None:
        await self.at(name).locator("button").click()

    async def enter(self, name: str, value: str) -> None:
        field = self.at(name).locator("input")
        await field.fill(value)
        await field.press("Tab")

    async def choose(self, name: str, value: str) -> None:
        await self.at(name).locator("md-select").click()
        await self.page.locator("md-option:visible", has_text=value).click()

    async def picture(self, name: str) -> None:
        """Keep what is seen, to be compared by eye."""
        if KEEPS_PICTURES:
            SCREENSHOTS.mkdir(exist_ok=True)
            await self.page.screenshot(path=SCREENSHOTS / f"node-red-{name}.png")

    def _asked(self, request: Request) -> None:
        if not request.url.startswith((self.node_red.url, "data:", "blob:", "about:")):
            self.wrong.append(f"another host: {request.url}")


class At:
    """One device, its tab, and what its buttons do."""

    def __init__(self, stand: Stand, pages: Pages, tab: str, device: str) -> None:
        self.stand, self.pages, self.tab = stand, pages, tab
        self.line = stand.lines[device]

    async def refused(self, button: str, topic: str, reason: str) -> None:
        """The button changes nothing, and its reason is shown."""
        written = list(self.line.written)
        await self.pages.press(f"{self.tab}-{button}")
        await self.pages.says(f"{self.tab}-refusal", topic)
        await self.pages.says(f"{self.tab}-refusal", reason)
        assert self.line.written == written

    async def wrote(self, *values: tuple[str, object]) -> None:
        """The device got exactly these since the last look."""
        await self.stand.until(lambda: len(self.line.written) >= len(values))
        assert self.line.written == list(values)
        self.line.written.clear()

    async def acts(self, button: str, *values: tuple[str, object]) -> None:
        await self.pages.press(f"{self.tab}-{button}")
        await self.wrote(*values)

    async def says(self, name: str, text: str) -> None:
        await self.pages.says(f"{self.tab}-{name}", text)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pages(tmp_path_factory: pytest.TempPathFactory, needs: Callable[..., str]) -> AsyncGenerator[Pages]:
    program = needs("chromium-headless-shell", "chromium")
    node_red = NodeRed(tmp_path_factory.mktemp("node-red"))
    try:
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=program, args=list(FLAGS))
            made = Pages(await browser.new_page(viewport={"width": 1400, "height": 900}), node_red)
            yield made
            await browser.close()
        assert made.wrong == []
    finally:
        await node_red.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["mosquitto", "builtin"])
async def stand(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, needs: Callable[..., str], pages: Pages
) -> AsyncGenerator[Stand]:
    if request.param == "mosquitto":
        needs("mosquitto")
    expect.set_options(timeout=PATIENCE_MS)
    async with tracker_stand(request.param, tmp_path_factory.mktemp("tracker")) as made:
        await pages.lead_to(made.port)
        yield made


async def test_the_tab_of_the_supply(stand: Stand, pages: Pages) -> None:
    caen = At(stand, pages, "caen", "caen")
    await pages.open("caen")
    await caen.says("fsm", "LV_OFF")
    await caen.says("module", "module_0")
    await expect(pages.at("caen-hv-on").locator("button")).to_be_disabled()
    caen.line.set({"0.lv_vMon": 11.75})
    await caen.says("lv-v", "11.75")
    await caen.refused("set-lv", "dcs/cmd/setv/lv/0", "never touched")
    await pages.picture("caen")
    await pages.enter("caen-new-lv", "11.5")
    await caen.acts("set-lv", ("0.lv_setV", 11.5))
    await caen.says("lv-setv", "11.5")
    await caen.acts("lv-on", ("0.lv_pw", 1), ("1.lv_pw", 1))
    await caen.says("fsm", "LV_ON")
    await caen.acts("hv-on", ("0.hv_pw", 1), ("1.hv_pw", 1))
    await caen.says("fsm", "HV_ON")
    await caen.refused("lv-off", "dcs/cmd/switch/lv", "HV_ON")
    await caen.acts("hv-off", ("0.hv_pw", 0), ("1.hv_pw", 0))
    await caen.says("fsm", "LV_ON")
    await caen.acts("lv-off", ("0.lv_pw", 0), ("1.lv_pw", 0))
    await pages.choose("caen-select", "1")
    await caen.says("module", "module_1")
    await expect(pages.at("caen-lv-v")).not_to_contain_text("11.75")


async def test_the_tab_of_the_chiller(stand: Stand, pages: Pages) -> None:
    julabo = At(stand, pages, "julabo", "julabo")
    await pages.open("julabo")
    julabo.line.set({"internal_temp": -12.5})
    await julabo.says("internal", "-12.5")
    await julabo.refused("set-1", "julabo/cmd/setWT", "temp is missing")
    await pages.enter("julabo-new-1", "50")
    await julabo.refused("set-1", "julabo/cmd/setWT", "50 degC")
    await pages.enter("julabo-new-1", "12.5")
    await julabo.acts("set-1", ("setpoint_1", 12.5))
    await julabo.says("setpoint-1", "12.5")
    await pages.choose("julabo-use-sp", "2")
    await julabo.wrote(("used_setpoint", 2))
    await julabo.says("used", "2")
    await julabo.acts("start", ("running", True))
    await julabo.says("fsm", "ON")
    await expect(pages.at("julabo-start").locator("button")).to_be_disabled()
    await julabo.acts("stop", ("running", False))
    switch = pages.at("julabo-use-ext").locator("md-switch")
    for on in (True, False):
        await switch.click()
        await julabo.wrote(("ext_is_used", on))
        await expect(switch).to_have_attribute("aria-checked", str(on).lower())


@only_builtin
async def test_a_chiller_that_is_lost_leaves_no_value_on_its_tab(stand: Stand, pages: Pages) -> None:
    julabo = At(stand, pages, "julabo", "julabo")
    await pages.open("julabo")
    julabo.line.set({"internal_temp": -12.5, "ext_is_used": True})
    await julabo.says("internal", "-12.5")
    julabo.line.is_there = False
    julabo.line.set(dict.fromkeys(julabo.line.values, None), Quality.STALE)
    await julabo.says("fsm", "DISCONNECTED")
    await julabo.says("setpoint-1", "–")
    await expect(pages.at("julabo-internal")).not_to_contain_text("-12.5")
    await pages.page.wait_for_timeout(800)  # its needle goes back
    await pages.picture("lost")
    # Its switch stays, and so commands nothing.
    await expect(pages.at("julabo-use-ext").locator("md-switch")).to_have_attribute("aria-checked", "true")
    assert julabo.line.written == []


@only_mosquitto
async def test_the_tab_of_the_switchbox(stand: Stand, pages: Pages) -> None:
    box = At(stand, pages, "sb", "box")
    await pages.open("sb")
    await box.says("channels", "none")
    await box.refused("enable", "SB/cmd", "channel")
    await pages.enter("sb-channel", "41")
    await box.acts("enable", ("41.enabled", True))
    await box.says("channels", "41")
    await box.acts("lv-on", ("lv", True))
    await box.says("lv", "on")
    await box.acts("hv-on", ("hv", True))
    await box.says("hv", "on")
    await box.refused("disable", "SB/cmd", "while the HV is on")
    await pages.picture("switchbox")
    await box.acts("hv-off", ("hv", False))
    await box.acts("disable-all", ("channels_on", 0))
    await box.says("channels", "none")
    await box.acts("lv-off", ("lv", False))


@only_builtin
async def test_the_tab_of_the_plant(stand: Stand, pages: Pages) -> None:
    plant = At(stand, pages, "marta", "co2")
    await pages.open("marta")
    await plant.says("fsm", "CONNECTED")
    plant.line.set({"PT04_CO2": 44.5, "CP_LP_FS": True})
    await plant.says("g-11", "44.5")
    await plant.says("alarm-text", "(CP_LP_FS)")
    await pages.picture("marta")
    plant.line.set({"CP_LP_FS": False})
    await expect(pages.at("marta-alarm-text")).not_to_contain_text("CP_LP_FS")
    await plant.refused("set-flow", "MARTA/cmd/set_flow_setpoint", "empty")
    await pages.enter("marta-new-speed", "3500")
    await plant.acts("set-speed", ("set_speed_setpoint", 3500.0))
    await pages.at("marta-flow-active").locator("md-switch").click()
    await plant.wrote(("set_flow_active", True))
    await plant.acts("start-chiller", ("set_start_chiller", True))
    await plant.says("fsm", "CHILLER_RUNNING")
    await plant.acts("stop-chiller", ("set_start_chiller", False))
    await plant.says("fsm", "CONNECTED")


@only_builtin
async def test_without_a_broker_each_tab_says_so(stand: Stand, pages: Pages) -> None:
    await pages.lead_to(1)
    for tab in ("caen", "julabo", "marta"):
        await pages.open(tab)
        await pages.says(f"{tab}-fsm", "NO BROKER")
    await pages.says("marta-alarm-text", "not known")
    await pages.open("sb")
    await pages.says("sb-channels", "unknown")
