"""Headers and documents of an upstream of the DQM^2 kind, and the records that the rules of `publish` see. Pure.

A document is what a program wrote, so nothing in it is certain: a field that is missing or of another kind is left out,
and the rest of the document is used. A record has few fields with plain names, in place of the many of the document:
command lines and process ids are not among them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, cast

import msgspec
from msgspec import Raw, Struct

from countingroom.core.messages import Malformed

Kind = Literal["run_client", "graph"]
_RELEASE = re.compile(r"CMSSW(?:_\d+){2,4}(?:_[A-Za-z]+\d*)?(?:_[A-Za-z0-9]+)*")
_CUT = "_dqm_sourceclient-live"
_MOST_REVISION = 2**53
_KILO = {"kB": 1024, "KB": 1024, "MB": 1024**2, "B": 1}
_SERIES = ("lumis", "mtimes", "ctimes", "fsize", "evt_accepted", "evt_processed")


class DocumentHeader(Struct, frozen=True, gc=False):
    """What an upstream tells of a document before it sends it."""

    id: str
    revision: int
    type: str

    @property
    def kind(self) -> Kind | None:
        """What its document becomes; None for documents that the mirror does not show."""
        if "analyze_files" in self.id:
            return "graph"
        return "run_client" if "source-state" in self.type or "source-state" in self.id else None


class GivenDocument(Struct, frozen=True):
    """A document as its upstream gives it. It is decoded once, by the process that redacts it."""

    header: DocumentHeader
    text: bytes
    """JSON."""

    def read(self) -> RawDocument | None:
        """Its record; None for one that the mirror does not show. Malformed for what cannot be read, such as a number
        with thousands of digits."""
        return raw_document(_decoded(self.text), self.header)


class RawDocument(Struct, frozen=True, kw_only=True):
    """A document as a record for the rules. All of it is of the inside."""

    kind: Kind
    id: str
    host: str
    revision: int
    record: Mapping[str, Any]
    own: tuple[str, ...]
    """Host, process id and user, which its log must not tell."""


def question(event: str, **more: Any) -> str:
    """A message to the upstream."""
    return json.dumps({"event": event, **more})


def read_headers(messages: Iterable[str]) -> list[DocumentHeader]:
    """All headers of all batches of an answer, by revision. Malformed for what is no such answer."""
    found: dict[str, DocumentHeader] = {}
    for message in _of("update_headers", messages):
        for one in _list(message.get("headers"), "headers"):
            header = _record(one)
            id, revision = header.get("_id"), header.get("_rev")
            if not isinstance(id, str) or not _is_revision(revision):
                raise Malformed("a header has no _id or no _rev")
            found[id] = DocumentHeader(id, cast("int", revision), str(header.get("type") or ""))
    return sorted(found.values(), key=lambda one: one.revision)


class _Documents(Struct):
    event: Any = None
    documents: list[Raw] = []


class _Identity(Struct):
    id: Any = msgspec.field(name="_id", default=None)


_DOCUMENTS = msgspec.json.Decoder(_Documents)
_IDENTITY = msgspec.json.Decoder(_Identity)


def documents_in(messages: Iterable[str]) -> dict[str, bytes]:
    """Id and JSON text of each document of an answer; of an id that is not known there is none. Malformed for what is
    no such answer."""
    return {id: text for message in messages for id, text in _documents(message)}


def _documents(message: str) -> list[tuple[str, bytes]]:
    # The bulk of an answer is logs. They are passed over here, and read by the process that redacts them.
    try:
        found = _DOCUMENTS.decode(message)
        if found.event == "update_documents" and found.documents:
            return [(str(_IDENTITY.decode(one).id), bytes(one)) for one in found.documents]
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        pass  # the other way takes also what is in no standard, and tells what is wrong
    read = [
        cast("dict[str, Any]", one)
        for found in _of("update_documents", [message])
        for one in _list(found.get("documents"), "documents")
        if isinstance(one, dict)
    ]
    return [(str(one.get("_id")), json.dumps(one).encode()) for one in read]


def json_of(text: str | bytes) -> Any:
    """What the JSON holds; also infinite numbers and halves of letters, which are in no standard. Malformed for what
    cannot be read."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):  # the other one is slower, and takes more
        pass
    try:
        return json.loads(text)
    except (ValueError, RecursionError, TypeError) as error:
        raise Malformed(f"a message is no JSON: {type(error).__name__}") from error


def event_of(message: str) -> str:
    """What kind of message it is; Malformed for none."""
    return str(_decoded(message).get("event") or "")


def read_status(given: Any) -> list[tuple[str, bool, str]]:
    """Host, whether it is up, and the message, of each computer of an answer to `get_cluster_status`: rows `[host, up,
    message]`, or a table host -> `[up, message]` or `{is_up, message}`. Malformed for anything else."""
    if isinstance(given, dict):
        table = cast("Mapping[str, Any]", given)
        return [_status([host, *_fields(one)]) for host, one in table.items()]
    if isinstance(given, list):
        return [_status(_fields(one)) for one in cast("list[Any]", given)]
    raise Malformed("the status of a cluster is a list or a table")


def raw_document(document: Mapping[str, Any], header: DocumentHeader) -> RawDocument | None:
    """The record of a document; None for one that the mirror does not show."""
    kind = header.kind
    if kind is None:
        return None
    host = _text(document.get("hostname")) or _host_in(header.id)
    revision = document.get("_rev")
    record = _graph(document) if kind == "graph" else _run_client(document)
    record |= {"run": _whole(document.get("run")), "host": host or None, "time": document.get("timestamp")}
    pid = document.get("pid")
    found = (host, host.partition(".")[0], str(pid) if pid else "", _text(document.get("user")), _pid_in(header.id))
    return RawDocument(
        kind=kind,
        id=header.id,
        host=host,
        revision=cast("int", revision) if _is_revision(revision) else header.revision,
        record={name: one for name, one in record.items() if one is not None},
        own=tuple(dict.fromkeys(one for one in found if one)),
    )


def _run_client(document: Mapping[str, Any]) -> dict[str, Any]:
    extra = _record(document.get("extra"))
    command = [one for one in _items(document.get("cmdline")) if isinstance(one, str)]
    tag = _text(document.get("tag"))
    exit_code = document.get("exit_code")
    record: dict[str, Any] = {
        "client": (tag.removesuffix(_CUT) or None) if tag else None,
        "exit_code": _whole(exit_code),
        "ended": exit_code is not None,
        "events": _whole(document.get("events_total")),
        "rate": document.get("events_rate"),
        "processed_run": _whole(document.get("cmssw_run")),
        "lumi": _whole(document.get("cmssw_lumi")),
        "release": next((found[0] for one in command if (found := _RELEASE.search(one))), None),
        "run_key": next((one.partition("=")[2] or one for one in command if "runkey" in one.casefold()), None),
        "state": document.get("fi_state"),
        "memory_bytes": _memory(_record(extra.get("ps_info")).get("VmRSS")),
    }
    for name in ("start", "end"):
        lines = extra.get(f"stdlog_{name}", document.get(f"stdlog_{name}"))
        if lines:
            record[f"log_{name}"] = lines
    return record


def _graph(document: Mapping[str, Any]) -> dict[str, Any]:
    extra = _record(document.get("extra"))
    streams = {
        name: {key: _record(one)[key] for key in _SERIES if key in _record(one)}
        for name, one in _record(extra.get("streams")).items()
    }
    return {"begun": extra.get("global_start"), "streams": streams}


def _of(event: str, messages: Iterable[str]) -> Iterable[Mapping[str, Any]]:
    for text in messages:
        message = _decoded(text)
        if message.get("event") == event:
            yield message


def _decoded(text: str | bytes) -> Mapping[str, Any]:
    found = json_of(text)
    if not isinstance(found, dict):
        raise Malformed("a message is no JSON object")
    return cast("Mapping[str, Any]", found)


def _list(given: Any, name: str) -> list[Any]:
    if not isinstance(given, list):
        raise Malformed(f"{name} is no list")
    return cast("list[Any]", given)


def _fields(given: Any) -> Sequence[Any]:
    if isinstance(given, dict):
        row = cast("Mapping[str, Any]", given)
        up = next((row[name] for name in ("is_up", "up", "status") if name in row), None)
        text = next((row[name] for name in ("message", "msg") if name in row), "")
        return [row["host"], up, text] if "host" in row else [up, text]
    return cast("list[Any]", given) if isinstance(given, list) else [given]


def _status(row: Sequence[Any]) -> tuple[str, bool, str]:
    host, up = (*row, None, None)[:2]
    if not isinstance(host, str) or not host or not isinstance(up, bool | int):
        raise Malformed("a row of the status of a cluster has a host, and whether it is up")
    return host, bool(up), _text(row[2]) if len(row) > 2 else ""


def _is_revision(given: Any) -> bool:
    return isinstance(given, int) and not isinstance(given, bool) and 0 <= given < _MOST_REVISION


def _whole(given: Any) -> int | None:
    return given if isinstance(given, int) and not isinstance(given, bool) else None


def _text(given: Any) -> str:
    return given if isinstance(given, str) else ""


def _record(given: Any) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", given) if isinstance(given, dict) else {}


def _items(given: Any) -> Sequence[Any]:
    return cast("Sequence[Any]", given) if isinstance(given, list) else ()


def _memory(given: Any) -> int | None:
    """`512 kB` in bytes."""
    number, _, unit = _text(given).partition(" ")
    return int(number) * _KILO[unit] if number.isdigit() and len(number) < 16 and unit in _KILO else None


def _host_in(id: str) -> str:
    return found[1] if (found := re.search(r"-host([\w.-]+?)(?:-pid\d+)?$", id)) else ""


def _pid_in(id: str) -> str:
    return found[1] if (found := re.search(r"-pid(\d+)$", id)) else ""
