"""The pages of results: programs and the list, one result, two results side by side."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Query, Request
from msgspec import structs
from starlette.responses import HTMLResponse

from countingroom.console.api.results import all_programs, chosen, compared
from countingroom.console.auth.requester import requester
from countingroom.console.context import ConsoleContext
from countingroom.console.pages.page_set import Render
from countingroom.core import command_permissions
from countingroom.core.errors import LinkError
from countingroom.core.policy import decide
from countingroom.core.results import ProgramState, ResultFilter, ResultState, StoredResult
from countingroom.core.subjects import EXPERIMENT
from countingroom.core.times import duration

_MOST = 200
"""Results on a page; the others are on the pages after it."""


class ResultPages:
    """Programs and results."""

    def __init__(self, context: ConsoleContext, render: Render) -> None:
        self._context = context
        self._render = render

    def add_to(self, router: APIRouter) -> None:
        """Add the route of each page."""
        router.add_api_route("/results", self.results)
        router.add_api_route("/results/compare", self.compare)
        router.add_api_route("/results/{number}", self.result)

    async def overview(self, request: Request) -> dict[str, Any]:
        """Empty: the overview has no part for results."""
        return {}

    async def results(self, request: Request, wanted: Annotated[ResultFilter, Depends(chosen)]) -> HTMLResponse:
        """The programs, and the results newest first."""
        wanted = structs.replace(wanted, limit=min(wanted.limit, _MOST))
        programs = all_programs(self._context)
        failed = ""
        try:
            found = await self._context.results.store.find(wanted)
        except LinkError as error:
            found, failed = (), error.cause.message
        names = sorted({*(one.program for one in programs), *(one.program for one in found)})
        return self._render(
            request,
            "results.html",
            "results",
            "Results",
            results=found,
            lasted=self._lasted,
            failed=failed,
            wanted=wanted,
            names=names,
            states=[one.value for one in ResultState],
            asked=dict(request.query_params),
            data={"programs": msgspec.to_builtins(programs), "denied": self._denied(request, programs)},
        )

    async def result(self, request: Request, number: int) -> HTMLResponse:
        """One result with its log, documents and arrays."""
        found = await self._context.results.store.get(number)
        programs = [one for one in all_programs(self._context) if one.program == found.program]
        return self._render(
            request,
            "result.html",
            "result",
            f"Result {found.number}",
            above="Results",
            result=found,
            lasted=self._lasted,
            data={
                "result": msgspec.to_builtins(found),
                "programs": msgspec.to_builtins(programs),
                "denied": self._denied(request, programs),
            },
        )

    async def compare(
        self, request: Request, result: Annotated[list[int], Query(min_length=2, max_length=2)]
    ) -> HTMLResponse:
        """Two results side by side."""
        one, other, documents, arrays = await compared(self._context, *result)
        return self._render(
            request,
            "result_compare.html",
            "result-compare",
            f"{one.number} and {other.number}",
            above="Results",
            one=one,
            other=other,
            documents=documents,
            arrays=arrays,
            data={
                "results": [one.number, other.number],
                "arrays": [each["name"] for each in arrays if not each["only"]],
            },
        )

    def _lasted(self, one: StoredResult) -> str:
        return duration(max(0, (one.ended_ns or self._context.clock.now_ns()) - one.started_ns) / 1e9)

    def _denied(self, request: Request, programs: list[ProgramState]) -> dict[str, Any]:
        """Program -> command -> why this user may not give it."""
        principal, now_ns = requester(request).principal, self._context.clock.now_ns()
        return {
            one.program: {
                command: msgspec.to_builtins(cause)
                for command in ("start", "stop")
                if (
                    cause := decide(
                        principal, command_permissions.of_program(command, one.role), EXPERIMENT, now_ns=now_ns
                    )
                )
            }
            for one in programs
        }


pages = ResultPages
