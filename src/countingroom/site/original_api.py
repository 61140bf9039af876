"""The answers of the original DQM^2 Mirror, `GET /api?what=…`: the same shapes, of redacted values.

Where the original had a name of a computer or a document, its alias stands. Where the original failed (a run without
the path of its release) an empty text stands.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from markupsafe import escape

from countingroom.core.errors import NotFound
from countingroom.mirror.store.values import DocumentText
from countingroom.site import bodies, zones
from countingroom.site.answers import HTML, SiteAnswer, as_json
from countingroom.site.clients import ClientState, RunRecord
from countingroom.site.log_view import plain_lines
from countingroom.site.parameters import AddressParameter, wrong_parameter
from countingroom.site.public_records import PublicRecords
from countingroom.site.route_table import PageRequest

_NO_TIME = "2012-03-03T00:00:00"
"""What the original gives for a time that it does not know."""
PARAMETERS = (
    AddressParameter(
        "what",
        "text",
        "Which answer: get_run, get_graph, get_runs, get_clients, get_info, get_logs or "
        "get_cluster_status. Without it: the page that describes the API.",
    ),
    AddressParameter(
        "db", "choice", "Which set of runs. Needed, except for get_cluster_status.", choices=("production", "playback")
    ),
    AddressParameter("run", "integer", "Number of a run, for get_run and get_graph."),
    AddressParameter("from", "integer", "First run, for get_runs and get_clients."),
    AddressParameter("to", "integer", "Last run, for get_runs and get_clients."),
    AddressParameter("bad_only", "integer", "1: only clients that ended with an error.", default=0),
    AddressParameter("ls", "integer", "1: only clients that have a lumi section.", default=0),
    AddressParameter("id", "text", "Alias of a document, for get_logs."),
    AddressParameter(
        "cluster", "choice", "Cluster, for get_cluster_status.", default="playback", choices=("production", "playback")
    ),
)


class OriginalApi:
    """Answers by the word in `what`."""

    def __init__(self, records: PublicRecords) -> None:
        self._records = records
        self._known = {
            "get_run": self._run,
            "get_graph": self._graph,
            "get_runs": self._runs,
            "get_clients": self._clients,
            "get_info": self._info,
            "get_logs": self._logs,
            "get_cluster_status": self._cluster,
        }

    async def answer(self, question: PageRequest) -> SiteAnswer:
        """404 for an unknown word, 400 for a parameter that is missing or wrong."""
        known = self._known.get(question["what"])
        if known is None:
            told = ", ".join(self._known)
            raise NotFound(f"there is no answer {question['what'][:40]!r}; known: {told}", source="site")
        return await known(question)

    async def _run(self, question: PageRequest) -> SiteAnswer:
        set_name, number = _set(question), _needed(question, "run")
        record = await self._records.run(set_name, number)
        around = list(await self._records.reader.neighbours(set_name, number))
        if record is None:
            return as_json([around, []])
        rows = [
            [
                round(one.at_s * 1000),
                max(0, round(question.now_s - one.at_s)),
                one.host,
                one.exit_code,
                one.name,
                _or(one.section),
                "" if one.memory_mb is None else f"{round(one.memory_mb * 1024)} kB",
                _or(one.events),
                one.id,
                _or(one.rate),
            ]
            for one in record.clients
        ]
        return as_json([around, [[_release(record), record.key], rows]])

    async def _graph(self, question: PageRequest) -> SiteAnswer:
        set_name, number = _set(question), _needed(question, "run")
        found = await self._records.reader.newest_text(set_name, "graph", number)
        return as_json(_graph(found, number) if found else [])

    async def _runs(self, question: PageRequest) -> SiteAnswer:
        found: dict[int, Any] = {}
        for record in await self._span(question):
            clients: dict[str, list[Any]] = {}
            for one in record.clients:
                if (question["bad_only"] and not one.exit_code) or (question["ls"] and not one.section):
                    continue
                clients.setdefault(one.name, []).append(_brief(one))
            if clients:
                found[record.number] = {"run_data": [record.number, record.key, _release(record)], "clients": clients}
        return as_json(found)

    async def _clients(self, question: PageRequest) -> SiteAnswer:
        return as_json(sorted({one.name for record in await self._span(question) for one in record.clients}))

    async def _span(self, question: PageRequest) -> list[RunRecord]:
        set_name = _set(question)
        first, last = _needed(question, "from"), _needed(question, "to")
        return await self._records.span(set_name, min(first, last), max(first, last))

    async def _info(self, question: PageRequest) -> SiteAnswer:
        return as_json(await self._records.reader.run_range(_set(question)) or [])

    async def _logs(self, question: PageRequest) -> SiteAnswer:
        set_name = _set(question)
        if not question["id"]:
            raise wrong_parameter("give id")
        lines = plain_lines(await self._records.reader.log(set_name, question["id"]) or {})
        return SiteAnswer(body=f"<pre>{escape(chr(10).join(lines))}</pre>".encode(), media_type=HTML)

    async def _cluster(self, question: PageRequest) -> SiteAnswer:
        hosts = await self._records.reader.hosts(question["cluster"])
        return as_json([[one.host, one.is_up, one.message, round(one.at / 1e6)] for one in hosts])


def _set(question: PageRequest) -> str:
    if question["db"] is None:
        raise wrong_parameter("give db: production or playback")
    return str(question["db"])


def _needed(question: PageRequest, name: str) -> int:
    if question[name] is None:
        raise wrong_parameter(f"give {name}, a whole number")
    return int(question[name])


def _or(value: float | None) -> float:
    """-1 for a number that is not known, as the original has it."""
    return -1 if value is None else value


def _release(record: RunRecord) -> str:
    return f"CMSSW_{record.release.replace('.', '_')}" if record.release else ""


def _brief(client: ClientState) -> list[Any]:
    at = zones.moment(client.at_s, zones.zone("UTC"))
    shown = at.isoformat() if at else _NO_TIME
    return [client.host, _or(client.events), _or(client.section), client.inner, client.exit_code, shown]


_GRAPH_TABLES = ("mtimes", "fsize", "lumis", "evt_accepted", "evt_processed", "ctimes")
_RAW_TABLE = msgspec.json.Decoder(dict[str, msgspec.Raw])
_NO_TABLE = msgspec.Raw(b"{}")
_NO_LIST = msgspec.Raw(b"[]")


def _graph(found: DocumentText, number: int) -> list[Any]:
    body = _RAW_TABLE.decode(found.text)
    streams = {name: _stream(inner) for name, inner in _raw_tables(body.get("streams", _NO_TABLE))}
    at = zones.moment(found.at / 1e6, zones.zone("UTC"))
    begin_s = bodies.time_s({"begun": msgspec.json.decode(body.get("begun", b"null"))}, "begun")
    begin = zones.moment(begin_s, zones.zone("UTC"))
    shown = [at.isoformat() if at else _NO_TIME, begin.isoformat() if begin else _NO_TIME]
    return [number, found.revision, found.document_id, *shown, streams, found.source]


def _stream(inner: msgspec.Raw) -> dict[str, msgspec.Raw]:
    given = _RAW_TABLE.decode(inner)
    return {key: given.get(key, _NO_LIST) for key in _GRAPH_TABLES}


def _raw_tables(given: msgspec.Raw) -> Iterator[tuple[str, msgspec.Raw]]:
    """The tables within a table; what else is in it, or stands in its place, is left out."""
    if _is_table(given):
        yield from ((name, one) for name, one in _RAW_TABLE.decode(given).items() if _is_table(one))


def _is_table(text: msgspec.Raw) -> bool:
    return memoryview(text)[:1].tobytes() == b"{"
