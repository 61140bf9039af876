"""Law: a question gets an answer or a Refusal with its Cause, and neither outgrows a message of the bus."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from msgspec import Struct, structs

from countingroom.core.clock import Clock
from countingroom.core.errors import Cause, CountingRoomError
from countingroom.core.messages import encode
from countingroom.core.series import (
    ExportAnswer,
    ExportQuery,
    LastAnswer,
    LastQuery,
    PointsAnswer,
    PointsQuery,
    QueryRefusal,
    RangeQuery,
    SeriesAnswer,
)
from countingroom.history.answers import FEWEST_ROWS, answer_export, answer_last, answer_range
from countingroom.history.metrics import HistoryMetrics
from countingroom.history.port import HistoryStore

MOST_BYTES = 7_000_000
"""The bus carries 8 MB."""

Question = RangeQuery | LastQuery | PointsQuery | ExportQuery


class Questions:
    """Answers for `query.history.…`; `answers` maps the last token to what takes and gives bytes. Called in threads."""

    def __init__(self, store: HistoryStore, clock: Clock, *, metrics: HistoryMetrics | None = None) -> None:
        self._store = store
        self._clock = clock
        self._metrics = metrics or HistoryMetrics()
        self.answers: dict[str, Callable[[bytes], bytes]] = {
            "range": lambda data: self._answer("range", data, RangeQuery),
            "last": lambda data: self._answer("last", data, LastQuery),
            "points": lambda data: self._answer("points", data, PointsQuery),
            "export": lambda data: self._answer("export", data, ExportQuery),
        }

    def _answer(self, name: str, data: bytes, kind: type[Question]) -> bytes:
        with self._metrics.questions.labels(name).time():
            try:
                return self._fit(msgspec.msgpack.decode(data, type=kind))
            except msgspec.DecodeError as error:
                return _refuse(
                    Cause(
                        code="wrong_question", message=str(error), source="history", suggestion="correct the question"
                    )
                )
            except CountingRoomError as error:
                cause = error.cause
                return _refuse(cause if cause.source else structs.replace(cause, source="history"))

    def _fit(self, query: Question) -> bytes:
        """The answer, made smaller until it can be carried."""
        while len(answer := encode(self._ask(query))) > MOST_BYTES:
            match query:
                case RangeQuery(max_points=most) if most >= 2 * FEWEST_ROWS:
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

    def _ask(self, query: Question) -> Struct:
        match query:
            case RangeQuery():
                return SeriesAnswer(series=answer_range(self._store, self._until_now(query)))
            case LastQuery():
                return LastAnswer(last=answer_last(self._store, query))
            case PointsQuery():
                return PointsAnswer(points=[name for name in self._store.points() if name.startswith(query.prefix)])
            case ExportQuery():
                samples, following = answer_export(self._store, query)
                return ExportAnswer(samples=samples, next_ns=following)

    def _until_now(self, query: RangeQuery) -> RangeQuery:
        """What lies in the future is not a gap."""
        now = self._clock.now_ns()
        return structs.replace(query, end_ns=max(min(query.end_ns, now), min(query.end_ns, query.start_ns + 1)))


def _refuse(cause: Cause) -> bytes:
    return encode(QueryRefusal(cause=cause))
