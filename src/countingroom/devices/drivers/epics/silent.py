"""Which process variables are asked for their values, because they had no update for a while. Pure.

An IOC sends changes only, and a server can lose a subscription while it answers everything else. Each variable
therefore has its turn, one after the other, once in each `refresh`. A variable without an update since its former turn
is asked for its value.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Mapping

from countingroom.devices.port import Sample

MOST_AT_ONCE = 200
"""Variables that are asked together."""


class SilentVariables:
    """The turns of the variables of one device."""

    def __init__(self, names: Iterable[str], refresh_s: float) -> None:
        self._turns = deque(names)
        self._refresh_s = refresh_s
        self._credit = 0.0
        """Turns that are due."""
        self._before_s: float | None = None
        self._seen: dict[str, Sample] = {}
        """The last sample of each variable at its former turn."""
        self._doubted: dict[str, Sample] = {}
        """Variables whose server had something else than their last sample. An update may have been on its way."""

    def clear(self) -> None:
        """Forget what was seen, as at the end of a link."""
        self._before_s = None
        self._credit = 0.0
        self._seen.clear()
        self._doubted.clear()

    def due(self, latest: Mapping[str, Sample], askable: Collection[str], now_s: float) -> list[str]:
        """The variables to ask now. `latest`: the last sample of each; `now_s`: a monotonic time, in s."""
        asked = [name for name, sample in self._doubted.items() if name in askable and latest.get(name) is sample]
        self._doubted = {name: self._doubted[name] for name in asked}
        passed_s = 0.0 if self._before_s is None else now_s - self._before_s
        self._before_s = now_s
        self._credit = min(self._credit + len(self._turns) * passed_s / self._refresh_s, float(len(self._turns)))
        while self._credit >= 1.0 and len(asked) < MOST_AT_ONCE:
            self._credit -= 1.0
            name = self._turns[0]
            self._turns.rotate(-1)
            sample = latest.get(name)
            if sample is None or name not in askable or name in self._doubted:
                continue
            if self._seen.get(name) is sample:
                asked.append(name)
            self._seen[name] = sample
        return asked

    def is_forgotten(self, name: str, last: Sample, answer: Sample | None) -> bool:
        """Whether its server has lost the subscription. `last`: the last sample, which is the same as before the
        question; `answer`: what the server has, None where it did not answer. True at the second difference only."""
        if answer is not None and _content(answer) == _content(last):
            self._doubted.pop(name, None)
            return False
        if self._doubted.pop(name, None) is last:
            return True
        self._doubted[name] = last
        return False


def _content(sample: Sample) -> tuple[object, ...]:
    """A record that is processed has a new time; that alone is no change that an IOC sends."""
    return sample.value, sample.quality, sample.alarm
