"""The section `runs` of the description: systems, templates, and the first partitions, configurations and tags.

Layout, configurations and tags change during operation and are stored in the database. The description gives them for
the first start; what is edited in it later is applied by `countingroom apply`.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator

from countingroom.core.configurations import CUSTOM
from countingroom.core.subjects import EXPERIMENT
from countingroom.core.systems import SystemKind
from countingroom.core.values import Scalar
from countingroom.core.yaml.located import mapping, parse
from countingroom.core.yaml.section import AreaName, Name, Reference, Section
from countingroom.core.yaml.validation_errors import did_you_mean
from countingroom.runs.planner.template import DETECTORS
from countingroom.runs.sections.agent import SlowControlAgent
from countingroom.runs.sections.program_words import HOOK_WORDS, unknown, unknown_words
from countingroom.runs.sections.system import SystemSection
from countingroom.runs.sections.template import ConditionList, TemplateSection, condition_problems
from countingroom.runs.sections.was import WasSection

Problem = tuple[tuple[str | int, ...], str]

SHIPPED = ("cbm",)
"""Templates of the package; one of the same name in the description replaces it."""


@cache
def shipped(name: str) -> TemplateSection:
    """A template that comes with the package."""
    path = files("countingroom.runs").joinpath(f"templates/{name}.yaml")
    return TemplateSection.model_validate(parse(path.read_text(encoding="utf-8"), file=f"{name}.yaml").value)


def _with_shipped(given: Any) -> Any:
    own = mapping(given)
    return given if own is None else {**{name: shipped(name) for name in SHIPPED if name not in own}, **own}


class PartitionSection(Section):
    """A partition that is created at the first start."""

    template: Name = "cbm"
    title: str = ""
    """For display; empty: its name."""
    detectors: list[Name] = []
    """Its detectors at the first start. Later they are moved in the console or with `partition move`."""
    expendable: list[Name] = []
    """Detectors whose loss does not take the partition down."""
    tag: Name | None = None
    """The global tag that is selected at the first start."""
    conditions: ConditionList = []
    """Values of devices that runs of this partition depend on, beside those of its template."""
    area: str = ""
    """Its area in the section `alarms`."""
    goal: Name | None = None
    """The goal at the first start, such as `Recording`; missing: it waits for a command."""


class AgentsSection(Section):
    """How the agents of the systems are run."""

    process: Literal["shared", "per_system"] = "shared"
    """`shared`: all in one process. `per_system`: each in a process of its own (about 35 MB), so that the death of
    one process takes one system."""


class RunsSection(Section):
    """Run control: systems, partitions, configurations."""

    templates: Annotated[dict[Name, TemplateSection], BeforeValidator(_with_shipped)] = {}
    """Name -> levels and rules of a kind of partition. `cbm` always exists."""
    systems: dict[Name, SystemSection] = {}
    """All detectors and global systems."""
    agents: AgentsSection = AgentsSection()
    partitions: dict[Name, PartitionSection] = {}
    configurations: dict[Name, dict[Name, dict[str, Scalar]]] = {}
    """System -> configuration tag -> parameters."""
    tags: dict[Name, dict[Name, Name]] = {}
    """Global tag -> system -> its configuration tag."""
    was: WasSection = WasSection()
    """Renamed systems, configurations, tags and partitions."""

    file_names: ClassVar[tuple[tuple[str, ...], ...]] = (
        ("systems", "*", "type", "cfg"),
        ("systems", "*", "type", "table"),
        ("systems", "*", "type", "map"),
        ("systems", "*", "parameters"),
        ("systems", "*", "agent", "directory"),
    )
    """Paths in this section whose values are names of files, relative to the file that has them."""

    @property
    def detectors(self) -> tuple[str, ...]:
        """Names of all detectors."""
        return tuple(name for name, system in self.systems.items() if system.kind is SystemKind.DETECTOR)

    @property
    def global_systems(self) -> tuple[str, ...]:
        """Names of all global systems."""
        return tuple(name for name, system in self.systems.items() if system.kind is SystemKind.GLOBAL)

    @property
    def groups(self) -> dict[str, tuple[str, ...]]:
        """Group, or section of a `subsystem.cfg`, -> the systems that are in it."""
        found: dict[str, list[str]] = {}
        for name, system in self.systems.items():
            section = system.type.section if system.type else ""
            for group in dict.fromkeys((*system.groups, *filter(None, (section,)))):
                found.setdefault(group, []).append(name)
        return {group: tuple(systems) for group, systems in found.items()}

    @property
    def silent(self) -> frozenset[str]:
        """Systems that take no data: their table has no `start`, or they follow a device."""
        return frozenset(name for name, system in self.systems.items() if not system.records)

    @property
    def in_place(self) -> frozenset[str]:
        """Systems that can take changed parameters while they are Active or Recording."""
        return frozenset(name for name, system in self.systems.items() if system.reconfigures)

    @property
    def detector_types(self) -> tuple[str, ...]:
        """The sections of `subsystem.cfg` that its systems name as their types."""
        named = (system.type.section for system in self.systems.values() if system.type)
        return tuple(dict.fromkeys(filter(None, named)))

    @property
    def followed(self) -> dict[str, str]:
        """System -> the device that its agent follows."""
        agents = {name: system.agent for name, system in self.systems.items()}
        return {name: agent.device for name, agent in agents.items() if isinstance(agent, SlowControlAgent)}

    @property
    def in_use(self) -> bool:
        """Whether the description has systems or partitions."""
        return bool(self.systems or self.partitions)

    def references(self) -> Iterable[Reference]:
        """The devices that its systems follow, and those of the conditions of its templates."""
        for name, device in self.followed.items():
            path = ("systems", name, "agent", "device")
            yield Reference(path=path, section="devices", kind="device", name=device)
        named = [(("templates", name), one.conditions) for name, one in self.templates.items()]
        named += [(("partitions", name), one.conditions) for name, one in self.partitions.items()]
        for owner, conditions in named:
            for index, condition in enumerate(conditions):
                path = (*owner, "conditions", str(index))
                device = condition.point.partition(".")[0]
                yield Reference(path=path, section="devices", kind="device", name=device)

    def own_areas(self) -> Iterable[AreaName]:
        """The areas that systems and partitions name."""
        for key, things in (("systems", self.systems), ("partitions", self.partitions)):
            for name, thing in things.items():
                if thing.area:
                    yield AreaName(path=(key, name, "area"), subject=f"{key[:-1]}.{name}", area=thing.area)

    def problems(self) -> Iterable[Problem]:
        """Inconsistencies between its keys."""
        if DETECTORS in self.systems:
            yield ("systems", DETECTORS), "is reserved for all detectors of a partition; choose another name"
        for name, template in self.templates.items():
            for path, why in template.unknown_recorders(self.detectors, self.groups):
                yield ("templates", name, *path), why
            for index, recorder in enumerate(template.recorders):
                if recorder in self.systems and not self.systems[recorder].has_start:
                    why = f"{recorder} cannot record: its table has no event start"
                    yield ("templates", name, "recorders", index), why
        yield from self._partitions()
        yield from self._configurations()
        renamed = self.was.mistakes(
            systems=self.systems, configurations=self.configurations, tags=self.tags, partitions=self.partitions
        )
        yield from ((("was", *path), why) for path, why in renamed)

    def warnings(self) -> Iterable[Problem]:
        """Words in braces that no program gets: they stay as they are written."""
        for name, system in self.systems.items():
            schema = mapping((system.parameter_schema or {}).get("properties")) or {}
            saved = (each for one in self.configurations.get(name, {}).values() for each in one)
            for path, why in unknown_words(system.agent, {*schema, *saved}):
                yield ("systems", name, "agent", *path), why
        for name, template in self.templates.items():
            for hook, section in template.hooks.items():
                for path, why in unknown(("command",), section.command, HOOK_WORDS):
                    yield ("templates", name, "hooks", hook, *path), why

    def _partitions(self) -> Iterable[Problem]:
        owners: dict[str, str] = {}
        for name, partition in self.partitions.items():
            spot = ("partitions", name)
            if name == EXPERIMENT:
                yield spot, f"{EXPERIMENT} is reserved for the experiment as a whole; choose another name"
            for path, why in condition_problems(partition.conditions):
                yield (*spot, *path), why
            template = self.templates.get(partition.template)
            if template is None:
                hint = did_you_mean(partition.template, self.templates)
                yield (*spot, "template"), f"there is no template {partition.template}{hint}"
            elif partition.goal and partition.goal not in (rests := template.template(partition.template).rests):
                hint = did_you_mean(partition.goal, rests)
                yield (*spot, "goal"), f"{partition.goal} is not a stable state of {partition.template}{hint}"
            for system in template.systems if template else ():
                if system not in self.global_systems:
                    why = "is a detector" if system in self.systems else "is not among the systems"
                    yield (*spot, "template"), f"{partition.template} needs the global system {system}, which {why}"
            for index, detector in enumerate(partition.detectors):
                if detector not in self.detectors:
                    why = "is a global system" if detector in self.systems else "is not a system"
                    hint = "" if detector in self.systems else did_you_mean(detector, self.detectors)
                    yield (*spot, "detectors", index), f"{detector} {why}{hint}"
                elif owners.setdefault(detector, name) != name or detector in partition.detectors[:index]:
                    yield (*spot, "detectors", index), f"{detector} is in {owners[detector]} already"
            for index, detector in enumerate(partition.expendable):
                if detector not in self.detectors:
                    yield (*spot, "expendable", index), f"{detector} is not a detector"
            if partition.tag and partition.tag not in self.tags:
                yield (*spot, "tag"), f"there is no tag {partition.tag}{did_you_mean(partition.tag, self.tags)}"

    def _configurations(self) -> Iterable[Problem]:
        for system in self.configurations:
            if system not in self.systems:
                yield ("configurations", system), f"there is no system {system}{did_you_mean(system, self.systems)}"
        for tag, parts in self.tags.items():
            if tag == CUSTOM:
                yield ("tags", tag), "stands for configurations that are selected one by one; choose another name"
            for system, configuration in parts.items():
                known = self.configurations.get(system, {})
                if system not in self.systems:
                    hint = did_you_mean(system, self.systems)
                    yield ("tags", tag, system), f"there is no system {system}{hint}"
                elif configuration not in known:
                    hint = did_you_mean(configuration, known)
                    yield ("tags", tag, system), f"{system} has no configuration {configuration}{hint}"
