"""Times of work that is done again and again: an interval, or times of cron. Pure."""

from __future__ import annotations

from msgspec import Struct

from countingroom.core.errors import ConfigurationError
from countingroom.core.rules import cron
from countingroom.core.rules.specs import CronTrigger


class RepeatedTimes(Struct, frozen=True, kw_only=True):
    """The keys `every`, `at` and `zone` of a part of the description."""

    every_s: float = 0.0
    """Time from one to the next; 0: by `at`, or not at all."""
    at: str = ""
    """The five fields of cron."""
    zone: str = "UTC"

    @property
    def is_given(self) -> bool:
        """Whether there are any times."""
        return bool(self.every_s or self.at)

    def next_ns(self, after_ns: int) -> int:
        """The first time after this one."""
        if self.at:
            return cron.next_ns(CronTrigger(expression=self.at, zone=self.zone), after_ns)
        return after_ns + round(self.every_s * 1e9)

    def problem(self) -> str:
        """The error in `at` or `zone` as text; empty if both are right."""
        if self.at:
            try:
                cron.check(CronTrigger(expression=self.at, zone=self.zone))
            except ConfigurationError as error:
                return error.cause.message
        return ""
