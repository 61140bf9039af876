"""The start function of the role `tracker`, and what it takes from the sections of devices and of the bus."""

from __future__ import annotations

from collections.abc import Iterator

from countingroom.app.broker_place import LOOPBACK, broker_place, listener_problems
from countingroom.app.roles import Platform, Role, Setting
from countingroom.bus.description import BusSection
from countingroom.core.errors import ConfigurationError
from countingroom.core.yaml.located import Path as KeyPath
from countingroom.core.yaml.validation_errors import did_you_mean
from countingroom.devices.description import DevicesSection, kind_of
from countingroom.devices.drivers.caen.description import CaenSection
from countingroom.devices.drivers.julabo.description import JulaboSection
from countingroom.devices.drivers.marta.alarms import text_of
from countingroom.devices.drivers.marta.description import MartaSection
from countingroom.devices.drivers.marta.names import severity_of
from countingroom.devices.drivers.marta.points import alarm_bits
from countingroom.devices.drivers.switchbox.description import SwitchboxSection
from countingroom.devices.section import DeviceSection
from countingroom.experiment import Experiment
from countingroom.mqtt.description import MqttBroker
from countingroom.tracker.description import CaenTopics, TrackerSection
from countingroom.tracker.facts import CaenFacts, CaenRow, MartaFacts, TrackerFacts

DRIVERS = {"caen": CaenSection, "chiller": JulaboSection, "marta": MartaSection, "switchbox": SwitchboxSection}
"""Key of the section -> what the device behind it must be."""


def tracker(setting: Setting) -> Role:
    """The topics of the tracker DCS, for the devices that the description names."""
    from countingroom.mqtt.service import BrokerService
    from countingroom.tracker.adapter import TrackerAdapter

    section = setting.experiment.section(TrackerSection)
    found = facts(setting.experiment)
    bus = setting.experiment.bus
    principal = next(iter(section.principals.values()))

    async def run(platform: Platform) -> None:
        service = BrokerService(
            platform.bus,
            setting.clock,
            lambda now_s: TrackerAdapter(found, now_s),
            lambda: broker_place("tracker", section.broker, section.user, bus, setting.data),
            principal,
            role="tracker",
            audit=platform.database.audit.append,
        )
        platform.ready({"topics of": sorted(found.devices)})
        await service.run()

    return run


def facts(experiment: Experiment) -> TrackerFacts:
    """What the section says, with what the sections of its devices add; ConfigurationError where they do not fit."""
    for path, message in problems(experiment):
        raise ConfigurationError(message, source=".".join(map(str, ("tracker", *path))))
    section, devices = experiment.section(TrackerSection), _devices(experiment)
    caen, marta = section.caen, section.marta
    return TrackerFacts(
        caen=_caen(caen, devices[caen.device]) if caen else None,
        chiller=section.chiller.device if section.chiller else "",
        marta=_marta(marta.device, devices[marta.device]) if marta else None,
        switchbox=section.switchbox.device if section.switchbox else "",
        sensors=dict(section.sensors),
    )


def problems(experiment: Experiment) -> Iterator[tuple[KeyPath, str]]:
    """Where in the section, and what does not fit the devices or the listener of the bus."""
    section, devices = experiment.section(TrackerSection), _devices(experiment)
    for key, name in section.devices.items():
        if name in devices and not isinstance(devices[name], wanted := DRIVERS[key]):
            yield (key, "device"), f"{name} is no device with driver: {kind_of(wanted)}"
    if section.caen and isinstance(supply := devices.get(section.caen.device), CaenSection):
        for number, channel in section.caen.channels.items():
            if channel not in supply.channels:
                hint = did_you_mean(channel, supply.channels)
                yield ("caen", "channels", number), f"{section.caen.device} has no channel {channel}{hint}"
    if section.switchbox and isinstance(box := devices.get(section.switchbox.device), SwitchboxSection):
        yield from _box_problems(section, experiment.bus, box)
    if section.in_use and section.broker == "builtin":
        yield from listener_problems(section.user, experiment.bus, *own_topics(section))


def _box_problems(section: TrackerSection, bus: BusSection, box: SwitchboxSection) -> Iterator[tuple[KeyPath, str]]:
    """The box itself listens to these topics, on the broker of the dashboards: each would hear the other."""
    if box.mqtt is None or {box.mqtt.command_topic, box.mqtt.status_topic}.isdisjoint(("SB/cmd", "SB/status")):
        return
    if isinstance(section.broker, MqttBroker):
        host, port, _ = section.broker.place
    else:
        host, port = LOOPBACK, bus.mqtt.port if bus.mqtt else 0
    if (_plain(host), port) == (_plain(box.mqtt.host), box.mqtt.port):
        yield (
            ("switchbox", "device"),
            "the box is on this broker with the same topics: give the box other topics, or a broker of its own",
        )


def _plain(host: str) -> str:
    return LOOPBACK if host.casefold() in ("localhost", "::1", "0.0.0.0") else host.casefold()


def own_topics(section: TrackerSection) -> tuple[list[str], list[str]]:
    """The topics that it publishes on, and those that it subscribes to."""
    published = [
        *(("dcs/status", "dcs/channels", "dcs/error") if section.caen else ()),
        *(("julabo/status", "julabo/error") if section.chiller else ()),
        *(("MARTA/status", "MARTA/alarms", "MARTA/error") if section.marta else ()),
        *(("SB/status", "SB/error") if section.switchbox else ()),
        *section.sensors.values(),
    ]
    roots = [("dcs", section.caen), ("julabo", section.chiller), ("MARTA", section.marta)]
    subscribed = [f"{root}/cmd/#" for root, part in roots if part]
    return published, [*subscribed, *(["SB/cmd"] if section.switchbox else [])]


def _devices(experiment: Experiment) -> dict[str, DeviceSection]:
    return dict(experiment.section(DevicesSection).items())


def _caen(topics: CaenTopics, supply: DeviceSection) -> CaenFacts:
    if not isinstance(supply, CaenSection):
        raise TypeError(f"{topics.device} is no CAEN supply")
    names = topics.channels or {name: name for name in supply.channels}
    rows = tuple(
        CaenRow(
            id=number,
            channel=name,
            module=channel.module,
            lv_board=channel.lv.board,
            lv_channel=channel.lv.chan,
            hv_board=channel.hv.board,
            hv_channel=channel.hv.chan,
        )
        for number, name in names.items()
        for channel in [supply.channels[name]]
    )
    return CaenFacts(device=topics.device, rows=rows, untouched=topics.untouched)


def _marta(device: str, plant: DeviceSection) -> MartaFacts:
    if not isinstance(plant, MartaSection):
        raise TypeError(f"{device} is no MARTA plant")
    bits = sorted(alarm_bits(plant), key=severity_of)
    return MartaFacts(
        device=device,
        fields={name: register.deadband for name, register in plant.registers.items()},
        alarms={bit: text_of(bit, plant.alarm_codes) for bit in bits},
    )
