"""The page of devices with their values, and the same as JSON with the history of a point."""

from __future__ import annotations

from typing import Any

from countingroom.core.errors import NotFound
from countingroom.site import zones
from countingroom.site.answers import SiteAnswer, as_json
from countingroom.site.devices_view import DEVICE, POINT, TREND_S, PublishedDevice, devices, trend, values
from countingroom.site.public_records import PublicRecords
from countingroom.site.rendering import Renderer
from countingroom.site.route_table import PageRequest

_TRENDS = 24
"""So many points of the page have a trend: each takes a question to the store."""
_VALUES = 360
"""Most values of a trend: one a minute, as points leave by default."""
_AGE_S = 5


class DevicesPages:
    """Makes them."""

    def __init__(self, records: PublicRecords, renderer: Renderer) -> None:
        self._records = records
        self._renderer = renderer

    async def page(self, question: PageRequest) -> SiteAnswer:
        """Every device that is published, with the values of its points and their last hours."""
        found = await self._found()
        first = round((question.now_s - TREND_S) * 1e6)
        keys = [one.key for device in found for one in device.points if not isinstance(one.value, bool | str)]
        trends = {
            key: trend(
                values(await self._records.reader.history(POINT, key, first=first, limit=_VALUES)), question.now_s
            )
            for key in keys[:_TRENDS]
        }
        text = self._renderer.page("devices.html", question, devices=found, trends=trends)
        return SiteAnswer(body=text.encode(), max_age_s=_AGE_S)

    async def data(self, question: PageRequest) -> SiteAnswer:
        """The same as JSON."""
        return as_json([_row(one) for one in await self._found()])

    async def history(self, question: PageRequest) -> SiteAnswer:
        """The values of one point that left in the last hours, the oldest first."""
        device, name = question["device"], question["point"]
        points = (one for found in await self._found() for one in found.points)
        point = next((one for one in points if (one.device, one.name) == (device, name)), None)
        if point is None:
            raise NotFound(f"no point {name!r} of a device {device!r} is published", source="site")
        first = round((question.now_s - question["hours"] * 3600) * 1e6)
        rows = await self._records.reader.history(POINT, point.key, first=first)
        return as_json(
            {
                "device": device,
                "point": name,
                "unit": point.unit,
                "values": [
                    {"at": zones.iso(at_s), "value": one.value, "quality": one.quality} for at_s, one in values(rows)
                ],
            }
        )

    async def _found(self) -> list[PublishedDevice]:
        reader = self._records.reader
        return devices((*await reader.now(DEVICE), *await reader.now(POINT)))


def _row(device: PublishedDevice) -> dict[str, Any]:
    return {
        "device": device.name,
        "state": device.state,
        "since": zones.iso(device.since_s),
        "trouble": device.trouble,
        "points": [
            {
                "point": one.name,
                "value": one.value,
                "unit": one.unit,
                "quality": one.quality,
                "at": zones.iso(one.at_s),
            }
            for one in device.points
        ],
    }
