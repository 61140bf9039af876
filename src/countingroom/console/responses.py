"""How values and errors become HTTP answers: structs as JSON, every error as a Cause with the status of its code."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from http import HTTPStatus
from math import ceil
from typing import Any

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import StreamingResponse

from countingroom.console.long_work import LongWork
from countingroom.core.errors import Cause, CountingRoomError, LinkError, NotFound, RequestError

_log = logging.getLogger(__name__)

_STATUS = {
    "not_found": 404,
    "denied": 403,
    "no_token": 403,
    "wrong_mark": 403,
    "link_void": 403,
    "no_login": 401,
    "forged_login": 401,
    "login_over": 401,
    "wrong_password": 401,
    "too_often": 429,
    "hidden_character": 400,
    "out_of_range": 422,
    "wrong_type": 422,
    "read_only": 422,
    "invalid": 422,
    "wrong_argument": 422,
    "unknown_argument": 422,
    "missing_argument": 422,
    "wrong_scope": 422,
    "wrong_time": 422,
    "weak_password": 422,
    "timeout": 504,
    "unreachable": 503,
}


def as_json(content: object, status: int = 200) -> Response:
    """Structs, dicts and lists as a JSON answer."""
    return Response(msgspec.json.encode(content), status_code=status, media_type="application/json")


def refusal(cause: Cause, status: int | None = None) -> Response:
    """`{"cause": …}`; 409 where the code has no status of its own. `retry_after_s` in its evidence is a header too."""
    answer = as_json({"cause": cause}, status or _STATUS.get(cause.code, 409))
    if isinstance(wait_s := cause.evidence.get("retry_after_s"), int | float):
        answer.headers["Retry-After"] = str(ceil(wait_s))
    return answer


def in_pieces(work: LongWork, pieces: Iterable[bytes], media_type: str, *, file_name: str = "") -> Response:
    """A long answer, made while it is sent. `file_name`: of the file that a browser stores it in."""
    headers = {"Content-Disposition": f'attachment; filename="{file_name}"'} if file_name else None
    return StreamingResponse(work.joined(pieces), media_type=media_type, headers=headers)


def example(content: object, description: str = "") -> dict[str, Any]:
    """The entry of an answer in the OpenAPI description."""
    return {"description": description or "As shown.", "content": {"application/json": {"example": content}}}


REFUSED = example(
    {
        "cause": {
            "code": "not_allowed",
            "message": "hv_on is not allowed in LV_OFF; allowed: lv_on",
            "source": "devices.caen.0",
            "since_ns": None,
            "evidence": {"state": "LV_OFF", "event": "hv_on", "allowed": "lv_on"},
            "suggestion": "",
            "causes": [],
        }
    },
    "Refused: the cause says why and what to do.",
)


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The entries of refusals in the OpenAPI description."""
    return dict.fromkeys(statuses, REFUSED)


COMMAND_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: example(
        {"id": "6f1c", "outcome": {"kind": "done", "message": "goal done", "command_id": "6f1c"}},
        "With wait_s: what came of it, `done` or `failed`, by readback.",
    ),
    202: example({"id": "6f1c", "accepted": True}, "Accepted; the outcome is an event with this command_id."),
    **refusals(403, 404, 409, 422, 503, 504),
}
"""The answers to a command, in the OpenAPI description."""


def install(app: FastAPI) -> None:
    """Turn every error of the application into a Cause; pages get the console's own error page instead."""
    # Registered by type; FastAPI calls the most specific.
    app.add_exception_handler(CountingRoomError, _answer_known)
    app.add_exception_handler(RequestValidationError, _answer_invalid)
    app.add_exception_handler(HTTPException, _answer_http)
    app.add_exception_handler(Exception, _answer_unexpected)


async def _answer_known(request: Request, error: Exception) -> Response:
    if not isinstance(error, CountingRoomError):
        raise error
    return _error_response(request, error.cause, status_of(error))


async def _answer_invalid(request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    causes = tuple(
        Cause(
            code="invalid",
            message=f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}",
            suggestion="correct it and ask again",
        )
        for one in error.errors()
    )
    message = causes[0].message if len(causes) == 1 else f"{len(causes)} mistakes in the request"
    cause = Cause(
        code="invalid",
        message=message,
        source="console",
        causes=causes,
        suggestion="see /openapi.json for what it takes",
    )
    return _error_response(request, cause, 422)


async def _answer_http(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    code = re.sub(r"\W+", "_", HTTPStatus(error.status_code).phrase.lower())
    message = f"there is no {request.url.path}" if error.status_code == 404 else str(error.detail)
    suggestion = "go to /" if error.status_code == 404 else "see /openapi.json for what there is"
    cause = Cause(code=code, message=message, source="console", suggestion=suggestion)
    return _error_response(request, cause, error.status_code)


async def _answer_unexpected(request: Request, error: Exception) -> Response:
    _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    cause = Cause(
        code="internal",
        message=f"the console failed at {request.url.path}: {type(error).__name__}",
        source="console",
        suggestion="look at the present state before trying again; the console's log has the details",
    )
    return _error_response(request, cause, 500)


def _error_response(request: Request, cause: Cause, status: int) -> Response:
    wants_page = not request.url.path.startswith("/api/") and "text/html" in request.headers.get("accept", "")
    pages = getattr(request.app.state, "pages", None)
    if wants_page and pages is not None:
        page: Response = pages.error(request, cause, status)
        return page
    return refusal(cause, status)


def status_of(error: CountingRoomError) -> int:
    """The HTTP status of an error of the product."""
    match error:
        case NotFound():
            return 404
        case LinkError():
            return _STATUS.get(error.cause.code, 503)
        case RequestError():
            return _STATUS.get(error.cause.code, 409)
        case _:
            return _STATUS.get(error.cause.code, 502)
