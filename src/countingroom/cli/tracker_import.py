"""Makes a description from the YAML files of a tracker DCS: its channel file and its register file.

Keys that the models of this system do not accept are left out with the reason. The result is always a valid section.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path as FilePath
from secrets import token_urlsafe
from typing import Any, cast

import yaml
from msgspec import Struct
from pydantic import BaseModel, TypeAdapter, ValidationError

from countingroom.cli.import_account import CHANGED, NOT_NEEDED, TAKEN, AccountRow, Reasons, account
from countingroom.cli.tracker_import_text import experiment_text
from countingroom.core.errors import ConfigurationError, OutOfRange
from countingroom.core.yaml.located import Mistaken, Path, mapping, parse
from countingroom.core.yaml.section import Name
from countingroom.devices.drivers.caen.description import CaenSection
from countingroom.devices.drivers.marta.alarms import text_of
from countingroom.devices.drivers.marta.description import MartaSection
from countingroom.devices.drivers.marta.names import severity_of

CHANNELS_FILE, REGISTERS_FILE = "caen_channels.yaml", "marta_registers.yaml"
_MOST_ROUNDS = 100
_LEFT_OUT = "left out: "
_PLACES = {"unVThr": "write_low", "ovVThr": "write_high"}
_MASKS = ("tripInt", "tripExt")
"""They may be quoted here too."""
_OTHERS = {
    ".conf": "the file of a collector or broker: it goes on as it is",
    ".json": "the pages or dashboards: they go on as they are",
    ".py": "a program of the other system: this one takes its place",
}


class Wishes(Struct, frozen=True, kw_only=True):
    """The settings that the files do not contain."""

    name: str
    julabo: str = ""
    marta: str = ""
    switchbox: str = ""
    epics: tuple[str, ...] = ()
    broker: str = ""


class Imported(Struct, frozen=True, kw_only=True):
    """The files of the description, and the account of all lines."""

    files: dict[str, str]
    rows: tuple[AccountRow, ...]
    passwords: dict[str, str]
    """MQTT user -> its new password."""


def imported(directory: FilePath, wishes: Wishes, *, secrets: FilePath) -> Imported:
    """The description; ConfigurationError where the folder has no such file, or a file is no YAML. `secrets`: the
    folder that the description names for passwords."""
    try:
        TypeAdapter(Name).validate_python(wishes.name)
    except ValidationError as error:
        reason = _plain(error.errors()[0]["msg"])
        raise OutOfRange(f"--name: {reason}", suggestion="give the experiment a short name") from None
    rows: list[AccountRow] = []
    files: dict[str, str] = {}
    limits: dict[str, dict[str, float]] = {}
    for file in sorted(path for path in directory.iterdir() if path.is_file()):
        if file.suffix not in (".yml", ".yaml"):
            reason = _OTHERS.get(file.suffix, "no file with channels or registers")
            rows.append(AccountRow(place=file.name, what="the file", verdict=NOT_NEEDED, reason=reason))
            continue
        text = file.read_text(encoding="utf-8", errors="replace")
        located = parse(text, file=file.name)
        if located.problems:
            raise Mistaken(located.problems)
        value = mapping(located.value) or {}
        if "channels" in value:
            if CHANNELS_FILE in files:
                raise _two(file, "channels")
            kept, reasons = _channels(value)
            limits = _voltage_limits(kept)
            files[CHANNELS_FILE] = _dumped(kept, file.name)
        elif "registers" in value:
            if REGISTERS_FILE in files:
                raise _two(file, "registers")
            if not wishes.marta:
                raise OutOfRange(
                    f"{file.name} does not say where the plant is", code="no_host", suggestion="give --marta HOST"
                )
            kept, reasons = _registers(value, wishes.marta)
            files[REGISTERS_FILE] = _dumped(kept, file.name)
        else:
            reason = "it has neither `channels` nor `registers`"
            rows.append(AccountRow(place=file.name, what="the file", verdict=NOT_NEEDED, reason=reason))
            continue
        rows += account(file.name, text, located, reasons)
    if not (files or wishes.julabo or wishes.switchbox):
        raise ConfigurationError(
            f"{directory} has no file with `channels` or `registers`",
            source=str(directory),
            suggestion="name the folder with the YAML files of its programs",
        )
    users = () if wishes.broker else ("tracker-dcs", "nodered", "telegraf")
    files["experiment.yaml"] = experiment_text(
        wishes.name,
        julabo=wishes.julabo,
        marta=wishes.marta if REGISTERS_FILE in files else "",
        switchbox=wishes.switchbox,
        epics=wishes.epics,
        broker=wishes.broker,
        has_channels=CHANNELS_FILE in files,
        limits=limits,
        secrets=secrets,
    )
    return Imported(files=files, rows=tuple(rows), passwords={user: token_urlsafe(24) for user in users})


def _channels(value: dict[str, Any]) -> tuple[dict[str, Any], Reasons]:
    numbers: Reasons = {}
    kept, reasons = _without_wrong({"driver": "caen", **_unquoted(value, (), numbers)}, CaenSection)
    reasons = numbers | reasons
    if not kept.get("channels"):
        raise ConfigurationError(
            "no channel of the file can be taken", suggestion="see which boards and channels this system has"
        )
    kept.pop("driver")
    for path in _paths(kept):
        if path[-1] in _PLACES and "lv" in path:
            word = "lowest" if _PLACES[str(path[-1])] == "write_low" else "highest"
            reasons.setdefault(path, (TAKEN, f"it is also the {word} voltage that may be set"))
        elif len(path) == 2 and path[0] == "channels" and not (mapping(kept["channels"][path[1]]) or {}).get("module"):
            reasons.setdefault(path, (TAKEN, "without a module: monitored, not commanded"))
    return kept, reasons


def _unquoted(part: Any, path: Path, reasons: Reasons) -> Any:
    """Settings with quoted numbers such as `"0xC"` as numbers: the other system reads every such text so."""
    if isinstance(part, dict):
        return {key: _unquoted(one, (*path, key), reasons) for key, one in cast("dict[str | int, Any]", part).items()}
    is_setting = len(path) > 1 and path[-2] in ("lv", "hv") and path[-1] not in _MASKS
    if is_setting and isinstance(part, str) and part.lower().startswith(("0b", "0x")):
        with suppress(ValueError):
            number = int(part, 0)
            reasons[path] = (CHANGED, f"the text {part!r} is the number {number}")
            return number
    return part


def _voltage_limits(kept: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Point, or pattern -> the limits that the thresholds of the LV give to the voltage that may be set."""
    found: dict[str, dict[str, float]] = {}
    common = _thresholds(kept.get("global"))
    if common:
        found["*.lv_setV"] = common
    for name, channel in kept["channels"].items():
        if own := _thresholds(channel):
            found[f"{name}.lv_setV"] = own
    return found


def _thresholds(part: Any) -> dict[str, float]:
    lv = mapping((mapping(part) or {}).get("lv")) or {}
    return {key: float(lv[name]) for name, key in _PLACES.items() if lv.get(name) is not None}


def _registers(value: dict[str, Any], host: str) -> tuple[dict[str, Any], Reasons]:
    kept, reasons = _without_wrong({"driver": "marta", "host": host, **value}, MartaSection)
    kept.pop("driver")
    kept.pop("host")
    written = mapping(kept.get("alarm_codes")) or {}
    codes = dict(written)
    bits = {name for name in kept.get("registers", {}) if severity_of(name)}
    for name in written:
        if name not in bits:
            del codes[name]
            reasons["alarm_codes", name] = (NOT_NEEDED, "there is no such alarm bit among the registers")
        elif not str(codes[name]).strip().strip("?"):
            del codes[name]
            reasons["alarm_codes", name] = (CHANGED, f"it had no text; now: {text_of(name, {})}")
    for name in bits:
        if name not in written:
            reasons.setdefault(
                ("registers", name), (TAKEN, f"it had no text and was never shown; now: {text_of(name, {})}")
            )
    return kept | {"alarm_codes": codes}, reasons


def _without_wrong(value: dict[str, Any], model: type[BaseModel]) -> tuple[dict[str, Any], Reasons]:
    """The value without the keys that the model does not accept, and the reasons. A part that then lacks a required key
    is left out as a whole."""
    reasons: Reasons = {}
    for _ in range(_MOST_ROUNDS):
        try:
            model.model_validate(value)
        except ValidationError as error:
            wrong: dict[Path, str] = {}
            for one in error.errors(include_url=False):
                spot, message = one["loc"], one["msg"]
                if one["type"] == "missing":
                    message = f"it has no {spot[-1]}"
                    if spot in reasons:
                        message = f"without {spot[-1]}: {reasons[spot][1].removeprefix(_LEFT_OUT)}"
                wrong.setdefault(_reached(value, spot), message)
            if () in wrong:
                raise ConfigurationError(f"the file cannot be taken: {wrong[()]}") from error
            # The outer part of two goes, with both.
            for path in [path for path in wrong if not any(path[:end] in wrong for end in range(1, len(path)))]:
                reasons[path] = (NOT_NEEDED, f"{_LEFT_OUT}{_plain(wrong[path])}")
                value = _dropped(value, path)
        else:
            return value, reasons
    raise ConfigurationError("the file has too many mistakes", suggestion="look at what is in it")


def _reached(value: Any, location: tuple[int | str, ...]) -> Path:
    """The part of the location that exists."""
    path: list[int | str] = []
    for step in location:
        table = mapping(value)
        if table is None or step not in table:
            break
        path.append(step)
        value = table[str(step)]
    return tuple(path)


def _dropped(value: dict[str, Any], path: Path) -> dict[str, Any]:
    first, *rest = path
    inner = value[str(first)]
    kept = {key: part for key, part in value.items() if key != first}
    if rest:
        kept = {
            key: _dropped(cast("dict[str, Any]", inner), tuple(rest)) if key == first else part
            for key, part in value.items()
        }
    return kept


def _plain(message: str) -> str:
    return message.removeprefix("Value error, ").replace("Extra inputs are not permitted", "no such key is known")


def _paths(value: Mapping[str, Any], above: Path = ()) -> list[Path]:
    found: list[Path] = []
    for key, part in value.items():
        found.append((*above, key))
        if (inner := mapping(part)) is not None:
            found += _paths(inner, (*above, key))
    return found


def _dumped(value: dict[str, Any], source: str) -> str:
    return f"# From {source} of the tracker DCS.\n{yaml.safe_dump(value, sort_keys=False, allow_unicode=True)}"


def _two(file: FilePath, what: str) -> ConfigurationError:
    return ConfigurationError(
        f"{file.name} is a second file with `{what}`",
        source=str(file),
        suggestion="import one folder for each set of devices, or move the file away",
    )
