"""The registers of a simulated device: values by name, words by unit, table and address, in the layout of its table."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

from countingroom.core.errors import ConfigurationError

_FORMATS = {
    "bool": "H",
    "int": "H",
    "int16": "h",
    "uint16": "H",
    "int32": "i",
    "uint32": "I",
    "int64": "q",
    "uint64": "Q",
    "float32": "f",
    "float64": "d",
}

Number = float | int | bool | str
Cell = tuple[int, str, int]
"""Unit, table and address of one register or bit."""


class RegisterImage:
    """Words that hold the values of a table. A name outside the table is ignored."""

    def __init__(self, parameters: Mapping[str, Any]) -> None:
        """`parameters`: `registers` (name -> address, type, bit …), and how words and bytes are ordered."""
        table = parameters.get("registers")
        if not isinstance(table, dict) or not table:
            raise ConfigurationError(
                "a simulated Modbus device needs its register table",
                suggestion="give `registers` as in its section; at a terminal: --like experiment.yaml --device NAME",
            )
        self.table: dict[str, dict[str, Any]] = table
        self._unit = int(parameters.get("device_id", 1))
        self._words = parameters.get("word_order", "big")
        self._bytes = parameters.get("byte_order", "big")
        self.words: dict[Cell, int] = {cell: 0 for entry in self.table.values() for cell in self._cells(entry)}

    @property
    def units(self) -> frozenset[int]:
        """The units that have a value."""
        return frozenset(unit for unit, _, _ in self.words)

    def get(self, name: str, default: Number = 0) -> Number:
        """The value in its registers."""
        entry = self.table.get(name)
        if entry is None:
            return default
        words = [self.words[cell] for cell in self._cells(entry)]
        match kind := _kind(entry):
            case "bool":
                bit = entry.get("bit")
                return bool(words[0]) if bit is None else bool(words[0] >> bit & 1)
            case "string":
                return b"".join(word.to_bytes(2, "big") for word in self._swapped(entry, words)).rstrip(b"\0").decode()
            case "bcd":
                return self._scaled(entry, int("".join(f"{word:04x}" for word in self._arranged(entry, words))))
            case _:
                raw = struct.pack(f">{len(words)}H", *self._arranged(entry, words))
                return self._scaled(entry, struct.unpack(">" + _FORMATS[kind], raw)[0])

    def put(self, name: str, value: Number) -> None:
        """Set the value."""
        entry = self.table.get(name)
        if entry is None:
            return
        cells, kind = self._cells(entry), _kind(entry)
        if kind == "bool":
            bit = entry.get("bit") or 0
            self.words[cells[0]] = self.words[cells[0]] & ~(1 << bit) | bool(value) << bit
            return
        if kind == "string":
            raw = str(value).encode().ljust(2 * len(cells), b"\0")[: 2 * len(cells)]
            words = self._swapped(entry, list(struct.unpack(f">{len(cells)}H", raw)))
        else:
            number = (float(value) - entry.get("offset", 0)) / entry.get("scale", 1) if _is_scaled(entry) else value
            words = self._arranged(entry, self._packed(kind, number, len(cells)))
        self.words.update(zip(cells, words, strict=True))

    def _packed(self, kind: str, number: Number, count: int) -> list[int]:
        if kind == "bcd":
            digits = f"{max(0, round(float(number))):0{4 * count}d}"
            return [int(digits[place : place + 4], 16) for place in range(0, 4 * count, 4)]
        raw = struct.pack(">" + _FORMATS[kind], number if kind.startswith("float") else round(float(number)))
        return list(struct.unpack(f">{count}H", raw))

    def _cells(self, entry: Mapping[str, Any]) -> list[Cell]:
        unit = self._unit if entry.get("device_id") is None else int(entry["device_id"])
        kind = _kind(entry)
        count = entry.get("length", 1) if kind in ("string", "bcd") else struct.calcsize("=" + _FORMATS[kind]) // 2
        return [(unit, entry.get("table", "holding"), entry["address"] + offset) for offset in range(count)]

    def _scaled(self, entry: Mapping[str, Any], number: float) -> float:
        return number * entry.get("scale", 1) + entry.get("offset", 0) if _is_scaled(entry) else number

    def _arranged(self, entry: Mapping[str, Any], words: list[int]) -> list[int]:
        if (entry.get("word_order") or self._words) == "little":
            words = words[::-1]
        return self._swapped(entry, words)

    def _swapped(self, entry: Mapping[str, Any], words: list[int]) -> list[int]:
        if (entry.get("byte_order") or self._bytes) == "little":
            return [(word & 0xFF) << 8 | word >> 8 for word in words]
        return words


def _kind(entry: Mapping[str, Any]) -> str:
    return "bool" if entry.get("table") in ("coil", "discrete") else entry.get("type", "int")


def _is_scaled(entry: Mapping[str, Any]) -> bool:
    return (entry.get("scale") or 1) != 1 or (entry.get("offset") or 0) != 0
