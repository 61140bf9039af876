"""The start function of the role `home_assistant`, and what it takes from the description."""

from __future__ import annotations

from collections.abc import Iterator

from countingroom import __version__
from countingroom.app.broker_place import broker_place, listener_problems
from countingroom.app.roles import Platform, Role, Setting
from countingroom.core.policy import Principal
from countingroom.core.policy import Role as PrincipalRole
from countingroom.core.yaml.located import Path as KeyPath
from countingroom.devices.description import DevicesSection
from countingroom.experiment import Experiment
from countingroom.home_assistant.description import HomeAssistantSection
from countingroom.home_assistant.facts import CommandFacts, HomeAssistantFacts


def home_assistant(setting: Setting) -> Role:
    """The points that the description names as entities of Home Assistant."""
    from countingroom.home_assistant.adapter import DEPARTMENT, HomeAssistantAdapter
    from countingroom.mqtt.service import BrokerService

    section = setting.experiment.section(HomeAssistantSection)
    found, bus = facts(setting.experiment), setting.experiment.bus
    # Without commands nothing is subscribed to by which any could come.
    nobody = Principal(name="home_assistant", role=PrincipalRole.VIEWER)

    async def run(platform: Platform) -> None:
        service = BrokerService(
            platform.bus,
            setting.clock,
            lambda now_s: HomeAssistantAdapter(found, now_s),
            lambda: broker_place(DEPARTMENT, section.broker, section.user, bus, setting.data),
            found.commands.principal if found.commands else nobody,
            role=DEPARTMENT,
            audit=platform.database.audit.append,
        )
        platform.ready({"points": ", ".join(section.points)})
        await service.run()

    return run


def facts(experiment: Experiment) -> HomeAssistantFacts:
    """What the section says, with the names of the devices."""
    section = experiment.section(HomeAssistantSection)
    commands = section.commands
    return HomeAssistantFacts(
        experiment=experiment.experiment.name,
        title=experiment.title,
        version=__version__,
        devices=frozenset(name for name, _ in experiment.section(DevicesSection).items()),
        points=tuple(section.points),
        prefix=section.prefix,
        topic=section.topic,
        interval_s=section.interval,
        expire_after_s=section.expire_after,
        commands=CommandFacts(
            principal=next(iter(section.principals.values())),
            points=tuple(commands.points),
            buttons=tuple(commands.buttons),
        )
        if commands and section.in_use
        else None,
    )


def problems(experiment: Experiment) -> Iterator[tuple[KeyPath, str]]:
    """Where in the section, and what does not fit the listener of the bus."""
    section, topics = experiment.section(HomeAssistantSection), facts(experiment).topics
    if section.in_use and section.broker == "builtin":
        published = [topics.configs, f"{topics.base}/#"]
        subscribed = [topics.birth, topics.configs, f"{topics.base}/#"]
        yield from listener_problems(section.user, experiment.bus, published, subscribed)
