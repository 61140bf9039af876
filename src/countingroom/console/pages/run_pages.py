"""The pages of run control: partitions, run book, configurations and detectors. Changes are commands only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Query, Request
from markupsafe import Markup
from msgspec import structs
from starlette.responses import HTMLResponse

from countingroom.console.api.partitions import partition_state, unmapped
from countingroom.console.api.runs import chosen
from countingroom.console.api.systems import systems
from countingroom.console.auth.requester import requester
from countingroom.console.context import ConsoleContext
from countingroom.console.pages.commanded import commanded
from countingroom.console.pages.page_set import Render
from countingroom.console.present import (
    device_views,
    fleet_words,
    partition_views,
    partition_words,
    revision_difference,
    run_compare,
)
from countingroom.console.present.recent_events import shown
from countingroom.console.query_client import ask
from countingroom.core import subjects
from countingroom.core.apply_description.compare import ApplyPlan
from countingroom.core.apply_description.messages import ApplyAnswer, ApplyQuery, DescriptionState, summary
from countingroom.core.charts.draw import svg
from countingroom.core.configurations import ConfigurationRevision, compare, with_changes
from countingroom.core.errors import CountingRoomError, LinkError
from countingroom.core.policy import Permission, decide
from countingroom.core.run_book import Run, RunFilter

_LAST = 20
"""Runs on the overview; a low screen shows the first of them."""
_MOST_RUNS = 500
"""Runs on a page; the others are on the pages after it."""
_ROUND_NS = 60_000_000_000
"""Trends of a run begin and end that much before and after it."""


class RunPages:
    """Partitions, the run book, configurations and the moving of detectors."""

    def __init__(self, context: ConsoleContext, render: Render) -> None:
        self._context = context
        self._render = render

    def add_to(self, router: APIRouter) -> None:
        """Add the route of each page."""
        router.add_api_route("/partitions/{partition}", self.partition)
        router.add_api_route("/runs", self.runs)
        router.add_api_route("/runs/compare", self.compare)
        router.add_api_route("/runs/{number}", self.run)
        router.add_api_route("/configurations", self.configurations)
        router.add_api_route("/detectors", self.detectors)

    async def overview(self, request: Request) -> dict[str, Any]:
        """Partitions with their commands, and last runs, for the overview; empty without run control."""
        context = self._context
        if not context.has_runs:
            return {"partition_cards": (), "unmapped": [], "last_runs": (), "differs": ""}
        words = context.latest.words
        found = [
            (state, words.get(subjects.control_key(name))) for name, state in partition_words.partitions(words).items()
        ]
        try:
            last = await context.records.runs.find(RunFilter(limit=_LAST))
        except LinkError:
            last = ()  # the database is not reached: partitions are shown without the last runs
        return {
            "partition_cards": found,
            "unmapped": sorted(unmapped(context), key=partition_views.natural),
            "differs": self._differs(request),
            "last_runs": last,
            "data": {"partitions": [commanded(context, request, state) for state, _ in found]},
        }

    async def partition(self, request: Request, partition: str) -> HTMLResponse:
        """One partition: its state, the cause, its systems and commands."""
        context = self._context
        state = partition_state(context, partition)
        control = context.latest.words.get(subjects.control_key(partition))
        covering = await context.records.tags.covering(member.system for member in state.members)
        words = context.latest.words
        mine = {
            key: word
            for key, word in words.items()
            if key == subjects.partition_key(partition) or partition_words.place_of(key, word) == partition
        }
        return self._render(
            request,
            "partition.html",
            "partition",
            partition,
            above="Partitions",
            state=state,
            control=control,
            services=fleet_words.services_of_systems(words),
            chart=Markup(svg(state.chart, state.state)),  # noqa: S704 - our own code, which escapes the names in it
            events=[shown(one) for one in context.recent_events.recent(40, source=partition)],
            data={
                **commanded(context, request, state),
                "states": msgspec.to_builtins(mine),
                "tags": [tag.name for tag in covering],
                "rests": partition_views.rests(state),
                "names": await self._may_control(partition),
            },
        )

    async def _may_control(self, partition: str) -> list[dict[str, object]]:
        """The users that control of it can be handed over to, first those with a session; empty without a login."""
        context = self._context
        if not context.sessions.has_login:
            return []
        target, now_ns = f"partition.{partition}", context.clock.now_ns()
        able = [
            one
            for one in await context.login()[0].list_accounts()
            if not one.user.disabled
            and decide(one.user.principal, Permission.TAKE_CONTROL, target, now_ns=now_ns) is None
        ]
        able.sort(key=lambda one: (not one.logins, one.user.name))
        return [{"name": one.user.name, "logins": one.logins} for one in able]

    async def runs(self, request: Request, wanted: Annotated[RunFilter, Depends(chosen)]) -> HTMLResponse:
        """The run book."""
        wanted = structs.replace(wanted, limit=min(wanted.limit, _MOST_RUNS))
        found = await self._context.records.runs.find(wanted)
        names = sorted({*partition_words.partitions(self._context.latest.words), *(run.partition for run in found)})
        return self._render(
            request,
            "runs.html",
            "runs",
            "Runs",
            runs=found,
            wanted=wanted,
            names=names,
            qualities=partition_views.qualities(found),
            asked=dict(request.query_params),
            remarks=run_compare.remarks,
            excluded=run_compare.excluded,
        )

    async def run(self, request: Request, number: int) -> HTMLResponse:
        """One run with all its data."""
        records = self._context.records
        run = await records.runs.get(number)
        who, now_ns = requester(request).principal, self._context.clock.now_ns()
        first, last = self._times(run)
        span = first - _ROUND_NS, last + _ROUND_NS
        return self._render(
            request,
            "run.html",
            "run",
            f"Run {run.number}",
            above="Runs",
            run=run,
            qualities=partition_views.qualities([run]),
            units=device_views.point_units(self._context.latest.catalogues),
            span=span,
            data={
                "run": run.number,
                "started": run.started_ns,
                "ended": run.ended_ns,
                "span": span,
                "points": device_views.condition_points(self._context.latest.catalogues),
                "partition": run.partition,
                "denied": msgspec.to_builtins(partition_views.denied(who, run.partition, now_ns)),
            },
        )

    async def compare(
        self, request: Request, run: Annotated[list[int], Query(min_length=2, max_length=2)]
    ) -> HTMLResponse:
        """Two runs side by side."""
        one, other = [await self._context.records.runs.get(number) for number in run]
        units = device_views.point_units(self._context.latest.catalogues)
        sections = run_compare.compare_runs(one, other, self._context.clock.now_ns(), units)
        return self._render(
            request,
            "run_compare.html",
            "run-compare",
            f"{one.number} and {other.number}",
            above="Runs",
            one=one,
            other=other,
            sections=sections,
            differing=run_compare.differing(sections),
            data={
                "spans": [self._times(each) for each in (one, other)],
                "points": device_views.condition_points(self._context.latest.catalogues),
            },
        )

    def _times(self, run: Run) -> tuple[int, int]:
        """When it began and ended, or now, ns."""
        return run.started_ns or run.asked_ns, run.ended_ns or self._context.clock.now_ns()

    def _differs(self, request: Request) -> str:
        """How the description differs from the database; empty for users without the permission to apply it."""
        state = self._context.latest.words.get(subjects.DESCRIPTION_KEY)
        who, now_ns = requester(request).principal, self._context.clock.now_ns()
        if not isinstance(state, DescriptionState) or "apply" in partition_views.denied_experiment(who, now_ns):
            return ""
        return summary(state.counts)

    async def _plan(self, differs: str) -> ApplyPlan | None:
        """The plan of applying the description; None without a difference, or without an answer of run control."""
        if not differs:
            return None
        try:
            return (await ask(self._context.bus, "runs", "apply", ApplyQuery(), ApplyAnswer)).plan
        except CountingRoomError:
            return None

    async def configurations(
        self,
        request: Request,
        system: str = "",
        tag: str = "",
        before: Annotated[str, Query(description="a tag to compare")] = "",
        after: str = "",
        first: Annotated[int | None, Query(alias="from", ge=1, description="a revision to compare")] = None,
        second: Annotated[int | None, Query(alias="to", ge=1)] = None,
        form: Annotated[str, Query(alias="as", description="unified, or side by side")] = "",
    ) -> HTMLResponse:
        """Configurations of systems, and tags."""
        records = self._context.records
        async with self._context.long_work.reading:
            there = await records.configurations.list()
        tags = await records.tags.list()
        names = sorted({*systems(self._context), *(one.system for one in there)})
        system = system or (names[0] if names else "")
        changes = compare(await records.tags.resolve(before), await records.tags.resolve(after)) if after else None
        choices: dict[str, list[str]] = {name: [] for name in names}
        for each in there:
            choices[each.system].append(each.tag)
        mine = [one for one in there if one.system == system]
        one = next((one for one in mine if one.tag == tag), mine[0] if mine and not tag else None)
        schema = await records.configurations.schema(system) if system else None
        history = await records.configurations.history(system, one.tag if one else tag) if system else ()
        revisions = [each.revision for each in history[:2]]
        chosen = (first or revisions[-1], second or revisions[0]) if revisions else (0, 0)
        compared = (
            revision_difference.difference(
                *[await self._revision(history, system, one.tag, number) for number in chosen]
            )
            if one and first and second
            else None
        )
        differs = self._differs(request)
        plan = await self._plan(differs)
        return self._render(
            request,
            "configurations.html",
            "configurations",
            "Configurations",
            names=names,
            tags=tags,
            system=system,
            mine=mine,
            one=one,
            history=with_changes(history),
            chosen=chosen,
            difference=compared,
            unified=form == "unified",
            compared=(before, after),
            changes=changes,
            differs=differs,
            plan=plan,
            data={
                "system": system,
                "configuration": msgspec.to_builtins(one) if one else None,
                "schema": schema.schema if schema else None,
                "tags": {each.name: each.systems for each in tags},
                "choices": choices,
                "plan": plan and {"digest": plan.digest, "to_do": len(plan.to_do)},
                "denied": self._denied(request),
            },
        )

    async def _revision(
        self, history: Sequence[ConfigurationRevision], system: str, tag: str, number: int
    ) -> ConfigurationRevision:
        there = next((each for each in history if each.revision == number), None)
        return there or await self._context.records.configurations.get(system, tag, number)

    async def detectors(self, request: Request) -> HTMLResponse:
        """Detectors by partition, and the form to move them."""
        context = self._context
        detectors = await context.records.mapping.detectors()
        there = systems(context)
        return self._render(
            request,
            "detectors.html",
            "detectors",
            "Detectors",
            detectors=[
                (one, next(iter(there.get(name, {}).get("states", {}).values()), None))
                for name, one in sorted(detectors.items(), key=lambda named: partition_views.natural(named[0]))
            ],
            records=await context.records.partitions.list(),
            changes=await context.records.mapping.history(limit=30),
            data={"denied": self._denied(request)},
        )

    def _denied(self, request: Request) -> object:
        who = requester(request).principal
        return msgspec.to_builtins(partition_views.denied_experiment(who, self._context.clock.now_ns()))


pages = RunPages
