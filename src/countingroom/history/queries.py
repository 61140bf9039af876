"""Queries on the bus: decoded, answered or refused with a Cause, and kept below the size of a message.

An answer that is too large is computed again with fewer rows."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from msgspec import Struct, structs

from countingroom.core.clock import Clock
from countingroom.core.errors import Cause, CountingRoomError, RequestError
from countingroom.core.history_conditions import AsOfAnswer, ConditionsQuery, IntervalsAnswer, PointAsOf, PointIntervals
from countingroom.core.messages import Malformed, decode, encode
from countingroom.core.series import (
    ExportAnswer,
    ExportQuery,
    LastAnswer,
    LastQuery,
    PointsAnswer,
    PointsQuery,
    QueryRefusal,
    RangeQuery,
    RangesQuery,
    SeriesAnswer,
    SeriesListAnswer,
)
from countingroom.history import conditions
from countingroom.history.metrics import HistoryMetrics
from countingroom.history.port import HistoryStore
from countingroom.history.query_answers import FEWEST_ROWS, answer_export, answer_last, answer_range, answer_ranges

_log = logging.getLogger(__name__)

MOST_BYTES = 7_000_000
"""The bus carries 8 MB."""

ANSWER_S = 15.0
"""So long conditions are looked up. The console waits for 20 s, also for a free thread."""

Query = ConditionsQuery | RangeQuery | RangesQuery | LastQuery | PointsQuery | ExportQuery


Range = TypeVar("Range", RangeQuery, RangesQuery)


class Queries:
    """Handlers of `query.history.<name>`: `answers` maps the name to a function of bytes. Called in threads."""

    def __init__(self, store: HistoryStore, clock: Clock, *, metrics: HistoryMetrics | None = None) -> None:
        self._store = store
        self._clock = clock
        self._metrics = metrics or HistoryMetrics()
        self.answers: dict[str, Callable[[bytes], bytes]] = {
            "range": lambda data: self._answer("range", data, RangeQuery),
            "ranges": lambda data: self._answer("ranges", data, RangesQuery),
            "last": lambda data: self._answer("last", data, LastQuery),
            "conditions": lambda data: self._answer("conditions", data, ConditionsQuery),
            "points": lambda data: self._answer("points", data, PointsQuery),
            "export": lambda data: self._answer("export", data, ExportQuery),
        }

    def _answer(self, name: str, data: bytes, kind: type[Query]) -> bytes:
        with self._metrics.questions.labels(name).time():
            try:
                return self._fit(decode(data, kind))
            except Malformed as error:
                return _refuse(
                    Cause(
                        code="wrong_question", message=str(error), source="history", suggestion="correct the question"
                    )
                )
            except CountingRoomError as error:
                cause = error.cause
                return _refuse(cause if cause.source else structs.replace(cause, source="history"))
            except Exception as error:  # silence would hold up the console until its time-out
                _log.exception("the query %s failed", name)
                message = f"the query failed: {type(error).__name__}: {error}"
                suggestion = "ask for other points, and see the log of the history"
                return _refuse(Cause(code="internal", message=message, source="history", suggestion=suggestion))

    def _fit(self, query: Query) -> bytes:
        """The answer, made smaller until it can be carried."""
        while len(answer := encode(self._ask(query))) > MOST_BYTES:
            match query:
                case RangeQuery(max_points=most) | RangesQuery(max_points=most) if most >= 2 * FEWEST_ROWS:
                    query = structs.replace(query, max_points=most // 2)
                case ExportQuery(limit=limit) if limit > 1:
                    query = structs.replace(query, limit=limit // 2)
                case _:
                    return _refuse(
                        Cause(
                            code="too_large",
                            message=f"the answer has {len(answer)} bytes; {MOST_BYTES} can be carried",
                            source="history",
                            suggestion="ask for fewer points",
                        )
                    )
        return answer

    def _ask(self, query: Query) -> Struct:
        match query:
            case RangeQuery():
                return SeriesAnswer(series=answer_range(self._store, self._until_now(query)))
            case RangesQuery():
                return SeriesListAnswer(series=answer_ranges(self._store, self._until_now(query)))
            case LastQuery():
                return LastAnswer(last=answer_last(self._store, query))
            case ConditionsQuery():
                found = conditions.answer(self._store, query, self._deadline())
                if query.end_ns:
                    return IntervalsAnswer(points=[one for one in found if isinstance(one, PointIntervals)])
                return AsOfAnswer(points=[one for one in found if isinstance(one, PointAsOf)])
            case PointsQuery():
                return PointsAnswer(points=[name for name in self._store.points() if name.startswith(query.prefix)])
            case ExportQuery():
                samples, following = answer_export(self._store, query)
                return ExportAnswer(samples=samples, next_ns=following)

    def _deadline(self) -> Callable[[], None]:
        """Raises RequestError once the requester does not wait any more: a thread would go on for no one."""
        until_s = self._clock.monotonic() + ANSWER_S

        def check() -> None:
            if self._clock.monotonic() > until_s:
                raise RequestError(
                    f"the answer takes longer than {ANSWER_S:.0f} s",
                    code="too_large",
                    suggestion="ask for fewer points, or for fewer times at once",
                )

        return check

    def _until_now(self, query: Range) -> Range:
        """The query, ended at the present: the future is not a gap."""
        now = self._clock.now_ns()
        return structs.replace(query, end_ns=max(min(query.end_ns, now), min(query.end_ns, query.start_ns + 1)))


def _refuse(cause: Cause) -> bytes:
    return encode(QueryRefusal(cause=cause))
