"""The box: its switches, and the texts that it takes and gives. It knows no rules: it does what it is told. Pure."""

from __future__ import annotations

import json
import re

CHANNELS = 48
_SWITCH = re.compile(r"(LV|HV|CH(\d{1,2}|\*))\|(ON|OFF)")


class Box:
    """The switches of a box, and what was asked of it."""

    def __init__(self) -> None:
        self.lv = False
        self.hv = False
        self.channels = 0
        """Bit 0 is channel 1."""
        self.refuses = False
        """It takes no command, and says nothing about it."""
        self.taken: list[str] = []
        """The commands that it has carried out."""

    def obey(self, text: str) -> bool:
        """Take a request; whether it answers it with its status."""
        if text == "STATUS?":
            return True
        match = _SWITCH.fullmatch(text)
        if match is None:
            return False
        if not self.refuses and self._switch(match[1], match[2], match[3] == "ON"):
            self.taken.append(text)
        return True

    def status(self) -> str:
        """Its status, as it says it."""
        return json.dumps({"lv": int(self.lv), "hv": int(self.hv), "channels": self.channels})

    def _switch(self, what: str, number: str | None, on: bool) -> bool:
        if what == "LV":
            self.lv = on
        elif what == "HV":
            self.hv = on
        elif number == "*":
            if on:
                return False
            self.channels = 0
        else:
            if not 1 <= int(number or 0) <= CHANNELS:
                return False
            bit = 1 << (int(number or 0) - 1)
            self.channels = self.channels | bit if on else self.channels & ~bit
        return True


NONSENSE = (
    '{"lv": 1, "hv"',
    "#?@",
    '{"lv": "on", "hv": 0, "channels": 0}',
    '{"lv": 1.0, "hv": 0, "channels": 0.5}',
    '{"lv": 1, "hv": 0, "channels": -1}',
    '{"lv": 1, "hv": 0, "channels": 281474976710656}',
    "[]",
)
"""What a box says in place of its status when it is broken, in turn."""
