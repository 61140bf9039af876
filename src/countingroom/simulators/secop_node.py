"""A SECoP node as its section describes it: what its parameters are, and what it answers to a line. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, cast

IDENTIFICATION = "ISSE,SECoP,V2019-09-16,countingroom"
_IDLE, _BUSY = 100, 300

Info = Mapping[str, Any]

DEFAULT_MODULES: Mapping[str, Any] = {
    "cryo": {
        "description": "a cryostat",
        "accessibles": {
            "value": {"datainfo": {"type": "double", "unit": "K", "min": 0.0}},
            "status": {
                "datainfo": {
                    "type": "tuple",
                    "members": [
                        {"type": "enum", "members": {"IDLE": 100, "WARN": 200, "BUSY": 300, "ERROR": 400}},
                        {"type": "string"},
                    ],
                }
            },
            "target": {"datainfo": {"type": "double", "unit": "K", "min": 0.0, "max": 320.0}, "readonly": False},
            "stop": {"datainfo": {"type": "command"}},
        },
    }
}
"""A cryostat, where no section is given."""


class _Bad(Exception):
    """A request that is refused: an error class of SECoP, and a text."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(text)
        self.report: list[Any] = [name, text, {}]


class SecopNode:
    """The modules of a node, their values, and the updates that they send."""

    def __init__(self, modules: Mapping[str, Any], equipment_id: str) -> None:
        self._modules = modules
        self._id = equipment_id or "countingroom.simulated"
        self._infos: dict[str, Info] = {
            f"{module}:{name}": accessible["datainfo"]
            for module, described in modules.items()
            for name, accessible in described["accessibles"].items()
            if accessible["datainfo"]["type"] != "command"
        }
        self.values: dict[str, Any] = {specifier: _first(info) for specifier, info in self._infos.items()}
        self.errors: dict[str, list[Any]] = {}
        """Parameter -> its error report, in place of a value."""
        self.refuses = False
        self.taken = 0
        """Values that clients have written."""
        self.stamp_s = 0.0
        """The time of what changes now; seconds since 1970."""
        self._times: dict[str, float] = {}
        self._moving: set[str] = set()

    def answer(self, line: str) -> Iterator[tuple[bool, str]]:
        """(for every client that listens, a line) for a request."""
        action, _, rest = line.partition(" ")
        specifier, _, data = rest.partition(" ")
        try:
            yield from self._reply(action, specifier, data)
        except _Bad as bad:
            yield False, f"error_{action} {specifier} {json.dumps(bad.report)}"

    def _reply(self, action: str, specifier: str, data: str) -> Iterator[tuple[bool, str]]:
        match action:
            case "*IDN?":
                yield False, IDENTIFICATION
            case "describe":
                yield False, f"describing . {json.dumps(self._report())}"
            case "activate":
                for one in self.values:
                    yield False, self.update(one)
                yield False, "active"
            case "ping":
                yield False, f"pong {specifier} {json.dumps([None, {'t': self.stamp_s}])}"
            case "read":
                self._known(specifier)
                yield False, f"reply {specifier} {json.dumps(self._stamped(specifier))}"
            case "change":
                for changed in self._change(specifier, json.loads(data)):
                    yield True, self.update(changed)
                yield False, f"changed {specifier} {json.dumps(self._stamped(specifier))}"
            case "do":
                for changed in self._do(specifier):
                    yield True, self.update(changed)
                yield False, f"done {specifier} {json.dumps([None, {'t': self.stamp_s}])}"
            case _:
                raise _Bad("ProtocolError", f"unknown action {action}")

    def update(self, specifier: str) -> str:
        """The line that tells the value of a parameter."""
        if specifier in self.errors:
            return f"error_update {specifier} {json.dumps(self.errors[specifier])}"
        return f"update {specifier} {json.dumps(self._stamped(specifier))}"

    def set(self, specifier: str, value: Any) -> str:
        """Give a parameter a value; the line that tells it."""
        self.errors.pop(specifier, None)
        self.values[specifier] = value
        self._times[specifier] = self.stamp_s
        return self.update(specifier)

    def arrive(self) -> Iterator[str]:
        """Modules that were given a target reach it; the lines that tell it."""
        for module in sorted(self._moving):
            yield self.set(f"{module}:value", self.values[f"{module}:target"])
            yield self._status(module, _IDLE, "")
        self._moving.clear()

    def _status(self, module: str, code: int, text: str) -> str:
        return self.set(f"{module}:status", [code, text])

    def _change(self, specifier: str, value: Any) -> Iterator[str]:
        self._known(specifier)
        module, name = specifier.split(":")
        if self._modules[module]["accessibles"][name].get("readonly", True):
            raise _Bad("ReadOnly", f"{specifier} is read only")
        if self.refuses:
            raise _Bad("IsBusy", "the node takes no value now")
        if reason := _unfit(self._infos[specifier], value):
            raise _Bad("RangeError", reason)
        self.taken += 1
        self.set(specifier, value)
        yield specifier
        if name == "target" and f"{module}:value" in self.values and f"{module}:status" in self.values:
            self._moving.add(module)
            self._status(module, _BUSY, "moving to the target")
            yield f"{module}:status"

    def _do(self, specifier: str) -> Iterator[str]:
        module, _, name = specifier.partition(":")
        accessible = self._modules.get(module, {}).get("accessibles", {}).get(name)
        if accessible is None or accessible["datainfo"]["type"] != "command":
            raise _Bad("NoSuchCommand", f"there is no command {specifier}")
        if self.refuses:
            raise _Bad("IsBusy", "the node takes no command now")
        self.taken += 1
        if name == "stop" and module in self._moving:
            self._moving.discard(module)
            self.set(f"{module}:target", self.values[f"{module}:value"])
            self._status(module, _IDLE, "stopped")
            yield f"{module}:target"
            yield f"{module}:status"

    def _known(self, specifier: str) -> None:
        if specifier not in self.values:
            raise _Bad("NoSuchParameter", f"there is no parameter {specifier}")

    def _stamped(self, specifier: str) -> list[Any]:
        return [self.values[specifier], {"t": self._times.get(specifier, self.stamp_s)}]

    def _report(self) -> dict[str, Any]:
        return {
            "modules": self._modules,
            "equipment_id": self._id,
            "description": "a simulated node",
            "firmware": "countingroom",
        }


def _first(info: Info) -> Any:
    """A value of this type, within its range."""
    match info["type"]:
        case "double" | "int" | "scaled":
            low, high = info.get("min"), info.get("max")
            first = max(0, low if low is not None else 0)
            return min(first, high) if high is not None else first
        case "bool":
            return False
        case "enum":
            codes = list(info["members"].values())
            return _IDLE if _IDLE in codes else codes[0]
        case "tuple":
            return [_first(member) for member in info["members"]]
        case "struct":
            return {name: _first(member) for name, member in info["members"].items()}
        case "array" | "matrix":
            return []
        case _:
            return ""


def _unfit(info: Info, value: Any) -> str:
    """Why a value is not taken; empty: it is."""
    match info["type"]:
        case "double" | "int" | "scaled":
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                return f"{value!r} is no number"
            low, high = info.get("min"), info.get("max")
            if (low is not None and value < low) or (high is not None and value > high):
                return f"{value} is outside {low} to {high}"
        case "enum" if value not in info["members"].values():
            return f"{value!r} is none of {', '.join(info['members'])}"
        case "tuple" | "struct":
            members = info["members"]
            is_right = isinstance(value, list if info["type"] == "tuple" else dict)
            if not is_right or len(cast("list[Any]", value)) != len(members):
                return f"{value!r} does not have {len(members)} members"
        case _:
            pass
    return ""
