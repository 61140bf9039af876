"""The numbers of a device's messages: missing ones are counted, repeated ones are taken once.

A device host numbers the messages of each device 1, 2, 3 … from its start (`boot`) on. A message that a host sent
again, because the bus did not acknowledge it in time, is in the stream twice: its number shows it.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Protocol

from msgspec import Struct

_LIVES = 4096
_MISSING = 4096


class Hole(Struct, frozen=True, kw_only=True):
    """Messages that did not come."""

    device: str
    first: int
    last: int


class Numbered(Protocol):
    """A message with its number, however its values are held."""

    @property
    def device(self) -> str: ...
    @property
    def boot(self) -> str: ...
    @property
    def sequence(self) -> int: ...


class _Life(Struct, kw_only=True):
    highest: int
    missing: set[int]


class Numbering:
    """The numbers received of each device and boot of its host. Bounded: the entry unused for longest is dropped."""

    def __init__(self) -> None:
        self._lives: OrderedDict[tuple[str, str], _Life] = OrderedDict()
        self._devices: set[str] = set()

    def take(self, message: Numbered) -> Hole | bool:
        """True for a message that follows, False for one that came before, or the hole before it."""
        key, number = (message.device, message.boot), message.sequence
        life = self._lives.get(key)
        if life is None:
            known = message.device in self._devices
            self._devices.add(message.device)
            life = self._lives[key] = _Life(highest=0 if known else number - 1, missing=set())
            if len(self._lives) > _LIVES:
                self._lives.popitem(last=False)
        self._lives.move_to_end(key)
        if number <= life.highest:
            late = number in life.missing
            life.missing.discard(number)
            return late
        first, life.highest = life.highest + 1, number
        if number == first:
            return True
        life.missing.update(range(max(first, number - _MISSING), number))
        return Hole(device=message.device, first=first, last=number - 1)
