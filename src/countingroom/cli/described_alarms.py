"""The alarms of a description, defined without a running experiment."""

from __future__ import annotations

from collections.abc import Mapping

from countingroom.alarms.definitions import Definitions
from countingroom.alarms.description import AlarmsSection
from countingroom.app.roles import needed_roles
from countingroom.backup.description import BackupSection
from countingroom.core.alarms.definition import AlarmDefinition
from countingroom.core.messages import Catalogue
from countingroom.devices.description import kind_of
from countingroom.devices.registry import Hosted
from countingroom.experiment import Experiment
from countingroom.fleet.description import FleetSection
from countingroom.mirror.description import MirrorSection
from countingroom.runs.description import RunsSection


def described_alarms(
    experiment: Experiment, section: AlarmsSection, hosted: Mapping[str, Hosted]
) -> list[AlarmDefinition]:
    """The alarms of these devices, of the partitions at the first start, and of the processes without simulation."""
    scheduled = experiment.section(BackupSection).is_scheduled
    canaries = bool(experiment.section(MirrorSection).never.canaries)
    definitions = Definitions(section, experiment.own_areas, has_backups=scheduled, has_canaries=canaries)
    runs = experiment.section(RunsSection)
    found = [alarm for device in hosted.values() for alarm in definitions.of_device(catalogue_of(device))]
    for name, partition in runs.partitions.items():
        template = runs.templates.get(partition.template)
        systems = [*(template.systems if template else ()), *partition.detectors]
        found += definitions.of_partition(name, systems, partition.title)
    for role in needed_roles(experiment, simulate=False):
        found += definitions.of_role(role)
    fleet = experiment.section(FleetSection)
    for node in fleet.nodes:
        found += definitions.of_node(node)
    for service in fleet.services:
        found += definitions.of_service(service)
    if fleet.in_use:
        found += definitions.of_keeper()
    return [*found, *definitions.of_told(), *definitions.of_customs()]


def catalogue_of(device: Hosted) -> Catalogue:
    """The catalogue of a device, as its host would publish it."""
    return Catalogue(
        device=device.name,
        title=device.title,
        driver=kind_of(type(device.section)),
        group=device.group,
        points=device.points,
        channels=device.behaviour.channels,
        channel_labels=device.channel_labels,
        chart=device.behaviour.chart,
        channel_chart=device.behaviour.channel_chart,
    )
