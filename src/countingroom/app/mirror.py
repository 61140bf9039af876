"""The start function of the role `mirror`: it fills the public store, or feeds a receiver outside."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from countingroom.app.mirror_feed import make_feed
from countingroom.app.mirror_report_schedule import ReportSchedule, report_in_child
from countingroom.app.roles import Platform, Role, Setting
from countingroom.core.clock import Clock
from countingroom.core.commands.upstreams import allowed
from countingroom.core.errors import ConfigurationError
from countingroom.core.mirror.control import UpstreamControl
from countingroom.mirror.description import MirrorSection
from countingroom.mirror.report_section import FOLDER as REPORTS
from countingroom.mirror.upstream_section import UpstreamSection

if TYPE_CHECKING:
    from countingroom.app.mirror_policy import Policy
    from countingroom.bus.port import Bus
    from countingroom.bus.publisher import Publisher
    from countingroom.core.mirror.redactor import Redactor
    from countingroom.mirror.grabber.control import ControlPlan
    from countingroom.mirror.grabber.service import UpstreamPlan
    from countingroom.mirror.template_service import TemplateService
    from countingroom.mirror.withheld import WithheldQueue


def mirror(setting: Setting) -> Role:
    """The grabber of the upstreams of the description, and the feed of what is published on the bus."""
    from countingroom.app.mirror_policy import policy
    from countingroom.bus.presence import heartbeat
    from countingroom.bus.publisher import Publisher
    from countingroom.mirror.grabber.control import ControlService
    from countingroom.mirror.grabber.service import GrabberService
    from countingroom.mirror.store.store import PublicStore
    from countingroom.mirror.store.values import PublicRetention
    from countingroom.mirror.withheld import WithheldQueue

    if setting.file is None:
        raise ConfigurationError(
            "this process was started without the file of a description",
            source="mirror",
            suggestion="start it with `countingroom up` or `countingroom serve`",
        )
    section = setting.experiment.section(MirrorSection)
    queue = WithheldQueue(setting.clock.now_ns)
    rules = policy(setting.file, setting.clock.now_ns() / 1e9, undecided=queue.add)
    redactor = redactor_in_force(rules, setting.clock)
    upstreams = [upstream_plan(name, one, setting.directory) for name, one in section.upstreams.items()]
    controls = control_plans(section, upstreams)
    for one in upstreams:
        for name in (one.name, *one.clusters):
            redactor().word(name)  # now, so that the start is refused
    keep = section.store
    retention = PublicRetention(age_us=round(keep.keep * 1e6), documents=keep.documents, records=keep.records)
    store = PublicStore(section.store.address(setting.data), setting.clock)
    feed_of = make_feed(setting, rules, redactor, store) if section.has_feed else None
    reports = ReportSchedule(
        section.report,
        section.report.folder or setting.data / REPORTS,
        setting.clock,
        report_in_child(section, setting),
    )

    async def run(platform: Platform) -> None:
        service = GrabberService(store, setting.clock, upstreams, redactor, retention)
        publisher = Publisher(platform.bus, setting.clock, "mirror")
        feed, notes = feed_of(platform.bus, publisher) if feed_of else (None, None)
        templates = make_templates(setting, rules, queue, platform.bus, publisher)
        parts = (service, reports, feed) if feed else (service, reports)
        computers = sum(len(one.hosts) or 1 for one in upstreams)
        try:
            async with asyncio.TaskGroup() as group:
                beating = heartbeat(
                    platform.bus,
                    setting.clock,
                    role="mirror",
                    instance="main",
                    boot=uuid4().hex,
                    troubles=lambda: [text for one in parts for text in one.troubles()],
                    warnings=lambda: [text for one in parts for text in one.warnings()],
                    conditions=feed.conditions if feed else dict,
                )
                group.create_task(beating)
                group.create_task(publisher.run())
                if controls:
                    group.create_task(ControlService(platform.bus, setting.clock, publisher, controls).run())
                group.create_task(templates.run())
                facts: dict[str, object] = {"upstreams": len(upstreams), "computers": computers}
                facts |= {"store": store.address} if section.has_store else {"feeds": section.feed.to}
                for one in filter(None, (feed, notes)):
                    group.create_task(one.run())
                if section.has_store:
                    group.create_task(reports.run())
                    await service.run(lambda: platform.ready(facts))
                else:
                    platform.ready(facts)
        finally:
            await store.close()

    return run


def make_templates(
    setting: Setting, rules: Policy, queue: WithheldQueue, bus: Bus, publisher: Publisher
) -> TemplateService:
    """The service of withheld templates. ConfigurationError for decisions that cannot be read."""
    from countingroom.mirror.template_service import TemplateService

    return TemplateService(
        bus,
        setting.clock,
        publisher,
        rules.table,
        queue,
        rules.check,
        lambda: rules.aliases(rules.period(setting.clock.now_ns() / 1e9)),
        setting.data,
        two_persons=rules.section.approvals.two_persons,
    )


def redactor_in_force(rules: Policy, clock: Clock) -> Callable[[], Redactor]:
    """Gives the redactor with the aliases of the present time."""
    kept: dict[int, Redactor] = {}

    def now() -> Redactor:
        period = rules.period(clock.now_ns() / 1e9)
        if period not in kept:
            kept.clear()
            kept[period] = rules.redactor_of(period)
        return kept[period]

    return now


def upstream_plan(name: str, section: UpstreamSection, directory: Path) -> UpstreamPlan:
    """An upstream, ready to be asked. ConfigurationError for a secret or certificate that cannot be read."""
    from countingroom.mirror.grabber.link import HttpLink, UpstreamAccess, WebSocketLink, tls_context
    from countingroom.mirror.grabber.service import UpstreamPlan

    source = f"mirror.upstreams.{name}"
    files = (section.tls.ca, section.tls.certificate, section.tls.key)
    ca, certificate, key = (str(directory / one) if one else None for one in files)
    access = UpstreamAccess(
        name=name,
        url=section.url,
        port=section.port,
        timeout_s=section.timeout,
        secret=section.secret.read(source) if section.secret else "",
        tls=tls_context(section.url, ca, certificate, key, source) if section.url.startswith("https") else None,
    )
    return UpstreamPlan(
        name=name,
        set=section.set,
        link=WebSocketLink(access) if section.over == "websocket" else HttpLink(access),
        hosts=tuple(section.hosts),
        every_s=section.every,
        clusters=tuple(section.clusters),
        clusters_every_s=section.clusters_every,
    )


def control_plans(section: MirrorSection, upstreams: Sequence[UpstreamPlan]) -> list[ControlPlan]:
    """The upstreams at which the description permits actions, with the links by which they are read."""
    from countingroom.mirror.grabber.control import ControlPlan

    found: list[ControlPlan] = []
    for one in upstreams:
        described = section.upstreams[one.name]
        if actions := allowed(described.control.allow):
            told = UpstreamControl(
                name=one.name,
                set=one.set,
                url=described.url,
                actions=actions,
                hosts=tuple(described.control.hosts or described.hosts),
                per_minute=described.control.per_minute,
                timeout_s=described.control.timeout,
            )
            secret = described.secret.read(f"mirror.upstreams.{one.name}") if described.secret else ""
            found.append(ControlPlan(told=told, link=one.link, secret=secret))
    return found
