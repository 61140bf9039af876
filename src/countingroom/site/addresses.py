"""Parameters that many addresses have. Pure."""

from __future__ import annotations

from countingroom.site.parameters import AddressParameter
from countingroom.site.zones import UTC_NAME

ZONE = AddressParameter("tz", "zone", "Time zone of the times on the page.", default=UTC_NAME)
SET = AddressParameter("db", "choice", "Which set of runs.", default="production", choices=("production", "playback"))
NUMBER = AddressParameter("number", "integer", "Number of the run.", least=0)
SHOWN = (ZONE, SET)
