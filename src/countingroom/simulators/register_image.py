"""The registers of a simulated device: values by name, words by address, in the layout of its table."""

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
    "float32": "f",
    "float64": "d",
}

Number = float | int | bool


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
        self._little_words = parameters.get("word_order", "little") == "little"
        self._little_bytes = parameters.get("byte_order", "big") == "little"
        self.words: dict[int, int] = {
            address: 0
            for entry in self.table.values()
            for address in range(entry["address"], entry["address"] + _width(entry))
        }

    @property
    def ranges(self) -> list[tuple[int, int]]:
        """Runs of neighbouring addresses, as (first, count)."""
        runs: list[tuple[int, int]] = []
        for address in sorted(self.words):
            if runs and address == runs[-1][0] + runs[-1][1]:
                runs[-1] = (runs[-1][0], runs[-1][1] + 1)
            else:
                runs.append((address, 1))
        return runs

    def get(self, name: str, default: Number = 0) -> Number:
        """The value in its registers."""
        entry = self.table.get(name)
        if entry is None:
            return default
        words = [self.words[entry["address"] + offset] for offset in range(_width(entry))]
        if _kind(entry) == "bool":
            bit = entry.get("bit")
            return bool(words[0]) if bit is None else bool(words[0] >> bit & 1)
        raw = struct.pack(f">{len(words)}H", *self._arranged(words))
        return struct.unpack(">" + _FORMATS[_kind(entry)], raw)[0]

    def put(self, name: str, value: Number) -> None:
        """Set the value."""
        entry = self.table.get(name)
        if entry is None:
            return
        address, kind = entry["address"], _kind(entry)
        if kind == "bool":
            bit = entry.get("bit") or 0
            self.words[address] = self.words[address] & ~(1 << bit) | bool(value) << bit
            return
        raw = struct.pack(">" + _FORMATS[kind], value if kind.startswith("float") else int(value))
        words = struct.unpack(f">{_width(entry)}H", raw)
        for offset, word in enumerate(self._arranged(list(words))):
            self.words[address + offset] = word

    def _arranged(self, words: list[int]) -> list[int]:
        if self._little_words:
            words = words[::-1]
        if self._little_bytes:
            words = [(word & 0xFF) << 8 | word >> 8 for word in words]
        return words


def _kind(entry: Mapping[str, Any]) -> str:
    return entry.get("type", "int")


def _width(entry: Mapping[str, Any]) -> int:
    return struct.calcsize("=" + _FORMATS[_kind(entry)]) // 2
