"""The page of a switchbox has its channels as tiles and its voltages as lamps; the pages of others are as they were."""

from __future__ import annotations

from msgspec.structs import replace

from countingroom.console.present import device_views
from countingroom.devices.drivers.switchbox.points import points
from tests.console.stage import CHILLER, caen


def test_channels_that_are_one_switch_each_are_tiles_and_the_switches_of_the_device_are_lamps() -> None:
    box = replace(
        CHILLER,
        channels=tuple(str(number) for number in range(1, 49)),
        points=points(stale_after_s=5.0, confirm_s=5.0),
    )
    assert device_views.is_tiled(box) and [lamp.name for lamp in device_views.lamps(box)] == ["lv", "hv"]
    for other in (caen(), CHILLER):
        assert not device_views.is_tiled(other) and not device_views.lamps(other)
