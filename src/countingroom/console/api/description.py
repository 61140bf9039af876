"""The API of the edited description: how it differs from the database, and its application."""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import APIRouter, Query, Request, Response

from countingroom.console.api.commands import CommandBody, carry
from countingroom.console.api.devices import Console
from countingroom.console.query_client import ask
from countingroom.console.responses import COMMAND_ANSWERS, as_json, example, refusals
from countingroom.core import subjects
from countingroom.core.apply_description.messages import ApplyAnswer, ApplyQuery
from countingroom.core.commands.experiment import EXPERIMENT
from countingroom.core.commands.row import reference

router = APIRouter(tags=["configurations"])


@router.get(
    "/apply/plan",
    summary="What applying the edited description would do",
    responses={
        200: example(
            {
                "differs": True,
                "counts": {"update": 1},
                "read_ns": 1790000000000000000,
                "plan": {
                    "revision": 3,
                    "changes": [
                        {
                            "action": "update",
                            "kind": "configuration",
                            "name": "STS.beam",
                            "reason": "changed in the description",
                            "described": {"threshold_fc": 1.5},
                            "held": {"threshold_fc": 2.0},
                            "applied": {"threshold_fc": 2.0},
                        }
                    ],
                    "renames": [],
                    "digest": "8c1f0a37d2be4419",
                },
            }
        ),
        **refusals(422, 503),
    },
)
async def get_apply_plan(
    console: Console,
    take: Annotated[str, Query(description="for conflicts: as `take` of the command `apply`")] = "",
    prune: Annotated[bool, Query(description="also remove what the description no longer has")] = False,
) -> Response:
    """The plan alone; it is not carried out. `described`, `held` and `applied`: the value in the description, in the
    database and when the description was last applied. `read_ns`: when run control read the description."""
    answer = await ask(console.bus, "runs", "apply", ApplyQuery(take=take, prune=prune), ApplyAnswer)
    plan = answer.plan
    told = {"differs": plan.differs, "counts": plan.counts, "read_ns": answer.read_ns}
    return as_json({**told, "plan": msgspec.to_builtins(plan)})


@router.post(
    "/apply",
    summary="The command `apply`",
    description=f"The same as `experiment/commands/apply`:\n\n{reference([EXPERIMENT['apply']])}",
    status_code=202,
    responses=COMMAND_ANSWERS,
)
async def apply_description(console: Console, request: Request, order: CommandBody | None = None) -> Response:
    """Apply the description, as one change."""
    return await carry(console, request, "runs", subjects.EXPERIMENT, "apply", order)
