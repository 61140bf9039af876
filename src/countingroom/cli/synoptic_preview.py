"""Writes the preview of a synoptic: one page that needs no server, with the drawing as the console shows it.

The page runs the console's own script on sample values, or on the present ones of a running console.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any

import msgspec

from countingroom.core.errors import ConfigurationError
from countingroom.core.points import Point, Type
from countingroom.core.synoptics.bindings import Binding, BindingMistake, Target, TargetKind
from countingroom.core.synoptics.elements import Drawing
from countingroom.core.synoptics.known_names import KnownNames
from countingroom.core.synoptics.writing import write

_STATIC = Path(__file__).parents[1] / "console" / "static"
_MODULES = ("dom.js", "format.js", "synoptic.js")
_STYLES = ("palette.css", "synoptic.css")
_IMPORT = re.compile(r"^import .*?;\n", re.MULTILINE | re.DOTALL)
_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome", "chromium-headless-shell")
_PICTURE_S = 60.0
_SAMPLE_NS = 1_790_000_000_000_000_000
_LOOKS = ("as given", "high", "medium", "low", "uncertain", "stale", "link lost")

_OWN_STYLE = (
    "body{margin:0;padding:16px;background:var(--panel);color:var(--txt);font:14px Inter,system-ui,sans-serif}"
    "form{margin:0 0 12px;display:flex;gap:12px}"
)
_SCRIPT = """
const told = JSON.parse(document.querySelector("#told").textContent), listeners = [];
const entries = (of) => Object.entries(of ?? {});
const live = { ...told, points: new Map(entries(told.points)), states: new Map(entries(told.states)), trusted: true,
  lostSince: null, on: (kind, listener) => listeners.push(listener) };
const given = live.points, worst = live.devices, places = live.places, partitions = live.partitions;
synoptics(live);
document.querySelector("#look").addEventListener("change", ({ target }) => {
  const look = target.value, level = ["as given", "high", "medium", "low"].indexOf(look);
  const each = (of, change) => Object.fromEntries(entries(of).map(([key, one]) => [key, change(one)]));
  const uncertain = ([value, , ns, own]) => [value, 1, ns, own], stale = ([value, , ns]) => [value, 2, ns, 4];
  const change = { uncertain, stale };
  const alarm = level > 0 ? ([value, quality, ns]) => [value, quality, ns, level] : (row) => row;
  live.points = new Map([...given].map(([key, row]) => [key, (change[look] ?? alarm)(row)]));
  live.devices = level > 0 ? each(worst, (one) => ({ ...one, worst: level })) : worst;
  live.partitions = level > 0 ? each(partitions, (one) => ({ ...one, worst: level })) : partitions;
  live.places = level > 0 ? Object.fromEntries(told.every_place.map((key) => [key, level])) : places;
  live.alive = each(told.devices, () => look !== "stale");
  live.watched = look !== "stale";
  live.trusted = look !== "link lost";
  live.lostSince = look === "link lost" ? 1 : null;
  for (const listener of listeners) listener();
});
document.querySelector("#dark").addEventListener("click", () => {
  const root = document.documentElement;
  root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark";
});
document.body.dataset.script = "ready";
"""


def write_preview(
    path: Path,
    drawing: Drawing,
    bindings: Sequence[Binding],
    wrong: Sequence[BindingMistake],
    known: KnownNames | None,
    *,
    url: str = "",
) -> Iterator[Path]:
    """Write the page, and beside or in place of it a picture. `url`: of the console whose values it has.

    Raises ConfigurationError for another suffix than .html and .png, and for a picture without Chromium.
    """
    if path.suffix not in (".html", ".png"):
        raise ConfigurationError(f"a preview is .html or .png, not {path.name!r}", source="--preview")
    names = known or KnownNames()
    told = _present(url, bindings) if url else _sample(bindings, names)
    told["every_place"] = [f"{one.target.kind}:{one.target.name}" for one in bindings]
    page = path.with_suffix(".html")
    page.write_text(_page(page.stem, drawing, bindings, wrong, names, told), encoding="utf-8")
    yield page
    browser = next((found for name in _BROWSERS if (found := shutil.which(name))), None)
    if browser:
        _draw(browser, page, path.with_suffix(".png"))
        yield path.with_suffix(".png")
    elif path.suffix == ".png":
        raise ConfigurationError(
            "a picture needs Chromium, which is not on this machine",
            source="--preview",
            suggestion=f"open {page} in any browser",
        )


def _page(
    title: str,
    drawing: Drawing,
    bindings: Sequence[Binding],
    wrong: Sequence[BindingMistake],
    known: KnownNames,
    told: dict[str, Any],
) -> str:
    from countingroom.console.present.synoptic_views import address, shown_bindings

    def leads(target: Target) -> str:
        return address(target, {})

    svg = write(drawing, list(bindings), prefix="sy-preview", label=title, address=leads)
    reasons = {one.element: one.message for one in wrong}
    data = _in_script(shown_bindings(bindings, known, {}, reasons))
    scripts = "".join(
        _IMPORT.sub("", (_STATIC / "js" / name).read_text(encoding="utf-8")).replace("\nexport ", "\n")
        for name in _MODULES
    )
    styles = "".join((_STATIC / "css" / name).read_text(encoding="utf-8") for name in _STYLES)
    looks = "".join(f"<option>{one}</option>" for one in _LOOKS)
    return (
        f'<!doctype html><html lang="en" data-theme="light"><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{styles}{_OWN_STYLE}</style>"
        f'<form><label>Values <select id="look">{looks}</select></label>'
        '<button type="button" id="dark">Light or dark</button></form>'
        f'<div data-synoptic="preview"><div class="sy-place">{svg}</div></div>'
        f'<script type="application/json" class="sy-data">{data}</script>'
        f'<script type="application/json" id="told">{_in_script(told)}</script>'
        '<script type="application/json" id="data">{}</script>'
        f'<script type="module">{scripts}{_SCRIPT}</script></html>\n'
    )


def _in_script(value: object) -> str:
    """JSON inside an element <script>."""
    return msgspec.json.encode(value).decode().replace("<", "\\u003c").replace("&", "\\u0026")


def _present(url: str, bindings: Sequence[Binding]) -> dict[str, Any]:
    """The snapshot of the running console."""
    from countingroom.cli.client import Client

    watch = {
        "devices": ["*"],
        "points": [one.target.name for one in bindings if one.target.kind is TargetKind.POINT],
        "events": False,
        "partitions": ["*"],
    }
    with Client(url) as api:
        found = api.exact("/api/v1/live", watch=msgspec.json.encode(watch).decode())
    return {"places": {}, "alive": {}, "devices": {}, "partitions": {}, "watched": True, **found["messages"][0]}


def _sample(bindings: Sequence[Binding], known: KnownNames) -> dict[str, Any]:
    """Values in the middle of what each point and state may have, in the form of a snapshot of the live feed."""
    told: dict[str, Any] = {"points": {}, "states": {}, "devices": {}, "partitions": {}, "places": {}, "alive": {}}
    told["watched"] = True
    for one in bindings:
        name = one.target.name
        device = name.partition(".")[0]
        match one.target.kind:
            case TargetKind.POINT:
                told["points"].setdefault(name, [_value(known.point(name), one), 0, _SAMPLE_NS, 0])
                told["devices"].setdefault(device, {"worst": 0})
            case TargetKind.DEVICE | TargetKind.CHANNEL:
                state = {"state": "ON", "link": "connected", "since_ns": _SAMPLE_NS}
                told["states"][f"{one.target.kind}.{name}"] = state
                told["devices"].setdefault(device, {"worst": 0})
            case TargetKind.PARTITION:
                told["partitions"][name] = {"worst": 0, "gone_ns": None, "state": "Recording"}
            case TargetKind.SYSTEM:
                partition = told["states"].setdefault("partition.sample", {"partition": "sample", "members": []})
                member = {"system": name, "seen": "Active", "own": "ACTIVE", "reported_ns": _SAMPLE_NS}
                partition["members"].append(member)
            case TargetKind.AREA | TargetKind.SYNOPTIC | TargetKind.PAGE:
                pass
    return told


def _value(point: Point | None, one: Binding) -> float | int | bool | str:
    kind = point.type if point else Type.FLOAT
    if kind is Type.BOOL:
        return True
    if kind is Type.STRING:
        return "text"
    if scale := one.level or one.turn:
        return scale.low + 0.6 * (scale.high - scale.low)
    limits = point.limits if point else None
    low, high = (limits.warning_low, limits.warning_high) if limits else (None, None)
    if low is not None and high is not None:
        value = (low + high) / 2
    else:
        value = high * 0.6 if high is not None else (low or 20.0) + 3.4
    return round(value) if kind is Type.INT else value


def _draw(browser: str, page: Path, picture: Path) -> None:
    flags = ["--headless", "--disable-gpu", "--hide-scrollbars", "--window-size=1400,860", "--virtual-time-budget=2000"]
    if os.getuid() == 0:
        flags.append("--no-sandbox")  # Chromium does not start as root without it; the page is our own
    command = [browser, *flags, f"--screenshot={picture.absolute()}", page.absolute().as_uri()]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=_PICTURE_S)  # noqa: S603
    except (OSError, subprocess.SubprocessError) as error:
        message = f"{browser} made no picture: {error}"
        raise ConfigurationError(message, source="--preview", suggestion=f"open {page} in a browser") from error
