"""The catalogue of a hosted device: what its pages and commands need to know of it."""

from __future__ import annotations

from countingroom.core.messages import Catalogue, CommandSpec
from countingroom.core.points import Point
from countingroom.devices.description import kind_of
from countingroom.devices.registry import Hosted


def catalogue_of(hosted: Hosted, points: tuple[Point, ...], commands: tuple[CommandSpec, ...], boot: str) -> Catalogue:
    """The catalogue with the points and commands in force."""
    return Catalogue(
        device=hosted.name,
        title=hosted.title,
        driver=kind_of(type(hosted.section)),
        group=hosted.group,
        location=hosted.location,
        simulated=hosted.simulated,
        card=hosted.section.card,
        points=points,
        channels=hosted.behaviour.channels,
        channel_labels=hosted.channel_labels,
        commands=commands,
        chart=hosted.behaviour.chart,
        channel_chart=hosted.behaviour.channel_chart,
        boot=boot,
    )
