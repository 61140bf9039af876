"""Points as records of an IOC, and readings as their values with alarm severity and time. Pure."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from fnmatch import fnmatchcase

from msgspec import Struct
from msgspec.structs import replace

from countingroom.core.messages import Catalogue, Readings
from countingroom.core.points import Point, Type
from countingroom.core.values import Quality, Scalar
from countingroom.pvs.access import Access

MOST_LETTERS = 60
"""Of the name of a record."""
MOST_TEXT = 255
"""Bytes of a text."""
SILENT_S = 5.0
"""After this without a heartbeat of the host of a device its values are not the present ones any more."""
_MOST_WORDS = 16
_MOST_WORD = 25
_MOST_UNIT = 15
_MOST_DESCRIPTION = 40
"""Bytes. EPICS starts with none of its records where one text is longer."""
_MOST_WHOLE = 1 << 63

NO_WRITES = Access({})
NO_ALARM, MINOR, MAJOR, INVALID = 0, 1, 2, 3
_READ, _WRITE, _STATE, _COMM = 1, 2, 7, 9
"""Alarm status of alarm.h of EPICS."""


class PvRecord(Struct, frozen=True, kw_only=True):
    """One process variable."""

    name: str
    kind: str
    """`float`, `int`, `bool`, `words` (an enum) or `text`."""
    words: tuple[str, ...] = ()
    fields: dict[str, float | int | str] = {}
    access: str = ""
    """The group of EPICS access security of those that may write it. Empty: it is read only."""


class PvRow(Struct, frozen=True, array_like=True):
    """One value of a process variable."""

    name: str
    value: float | int | str | bool | None
    """None: there is none; what was there before stays."""
    severity: int
    status: int
    time_s: float
    """Seconds since 1970."""


_Came = tuple[Scalar, int, int, float]
"""Value, severity, status, and seconds since 1970."""


class WritablePoint(Struct, frozen=True, kw_only=True):
    """The point behind a process variable that can be written."""

    device: str
    point: Point
    rule: str
    record: PvRecord

    def taken(self, value: Scalar) -> float | int | str | bool | None:
        """The value that was put, as one of the point; None where it is none."""
        return _value(self.record, value)


def pv_name(template: str, experiment: str, device: str, point: str) -> str:
    """The name of the process variable of a point."""
    return template.format(experiment=experiment, device=device, point=point.replace(".", ":"))


def pv_record(name: str, point: Point, access: str = "") -> PvRecord:
    """The record of a point, with its unit, limits and words."""
    return replace(_read_only(name, point), access=access)


def _read_only(name: str, point: Point) -> PvRecord:
    fields: dict[str, float | int | str] = {}
    if about := (point.label or point.description):
        fields["DESC"] = _cut(about, _MOST_DESCRIPTION)
    words = _words(point)
    if words or point.type in (Type.BOOL, Type.STRING):
        kind = "words" if words and point.type is not Type.BOOL else "text" if point.type is Type.STRING else "bool"
        return PvRecord(name=name, kind=kind, words=words, fields=fields)
    if point.unit:
        fields["EGU"] = _cut(point.unit, _MOST_UNIT)
    is_float = point.type is Type.FLOAT
    if is_float:
        fields["PREC"] = min(point.precision, 15)
    limits, high, low = point.limits, point.write_high, point.write_low
    for field, severity, limit in (
        ("LOLO", "LLSV", limits.alarm_low),
        ("LOW", "LSV", limits.warning_low),
        ("HIGH", "HSV", limits.warning_high),
        ("HIHI", "HHSV", limits.alarm_high),
    ):
        if limit is not None and (is_float or abs(limit) < _MOST_WHOLE):
            fields[field] = limit if is_float else round(limit)
            fields[severity] = "MAJOR" if severity in ("LLSV", "HHSV") else "MINOR"
    for field, limit in (("LOPR", low), ("HOPR", high)):
        if limit is not None and (is_float or abs(limit) < _MOST_WHOLE):
            fields[field] = limit if is_float else round(limit)
    return PvRecord(name=name, kind="float" if is_float else "int", fields=fields)


def _words(point: Point) -> tuple[str, ...]:
    """The words of an enum that EPICS can show: those of 0, 1, 2 …"""
    names = [point.codes.get(str(number)) for number in range(len(point.codes))]
    if point.type is Type.BOOL:
        names = [point.codes.get(key) for key in ("false", "true")]
    if not point.codes or len(names) > _MOST_WORDS or any(name is None for name in names):
        return ()
    return tuple(_cut(str(name), _MOST_WORD) for name in names)


def _cut(text: str, most_bytes: int) -> str:
    """The beginning of a text that has at most so many bytes in UTF-8."""
    return text.encode(errors="replace")[:most_bytes].decode(errors="ignore")


class PvTable:
    """The process variables of all devices, and what of them is to be sent to the server."""

    def __init__(self, experiment: str, template: str, patterns: Collection[str], access: Access = NO_WRITES) -> None:
        self._experiment = experiment
        self._template = template
        self._patterns = tuple(patterns)
        self._access = access
        self._points: dict[str, dict[str, Point]] = {}
        """Device -> point -> itself, of those that can be written."""
        self._records: dict[str, dict[str, PvRecord]] = {}
        """Device -> point -> its record."""
        self._came: dict[str, dict[str, _Came]] = {}
        """Device -> point -> what came last, also before the catalogue: a value that does not change is not sent again
        for a while."""
        self._rows: dict[str, dict[str, PvRow]] = {}
        """Device -> point -> its last value."""
        self._beaten_s: dict[str, float] = {}
        self._lost: set[str] = set()
        """Devices whose values are not the present ones."""
        self._waiting: dict[str, PvRow] = {}
        self._owners: dict[str, tuple[str, str]] = {}
        """Process variable -> the device and point that it shows."""
        self.left_out: tuple[str, ...] = ()
        """Points that have no process variable, as its name is too long or that of another."""

    def catalogue(self, device: str, catalogue: Catalogue | None) -> bool:
        """Take the catalogue of a device, or that it is gone; whether the records are others now."""
        before = self._records.get(device)
        rows = self._rows.get(device, {})
        found: dict[str, PvRecord] = {}
        writable: dict[str, Point] = {}
        for point in catalogue.points if catalogue else ():
            address = f"{device}.{point.name}"
            if not point.command_only and any(fnmatchcase(address, pattern) for pattern in self._patterns):
                name = pv_name(self._template, self._experiment, device, point.name)
                rule = self._access.rule_of(device, point)
                found[point.name] = pv_record(name, point, self._access.group(rule))
                if rule:
                    writable[point.name] = point
        if catalogue:
            self._records[device] = found
            self._points[device] = writable
        else:
            self._records.pop(device, None)
            self._points.pop(device, None)
            self._beaten_s.pop(device, None)
            self._lost.discard(device)
        for point in [name for name in rows if _kind((before or {}).get(name)) != _kind(found.get(name))]:
            self._waiting.pop(rows.pop(point).name, None)  # it may not fit the new record
        came = self._came.pop(device, {})
        for point in came.keys() & found.keys():
            self._take(device, found[point], point, came[point])
        if catalogue:
            self._came[device] = {point: came[point] for point in came.keys() & found.keys()}
        return before != (found if catalogue else None)

    def records(self) -> list[PvRecord]:
        """Every record; of those with one name the first."""
        known: dict[str, PvRecord] = {}
        self._owners.clear()
        left_out: list[str] = []
        for device, each in self._records.items():
            for point, record in each.items():
                if record.name in known or len(record.name) > MOST_LETTERS:
                    left_out.append(f"{device}.{point}")
                else:
                    known[record.name] = record
                    self._owners[record.name] = (device, point)
        self.left_out = tuple(left_out)
        return list(known.values())

    def writable(self, name: str) -> WritablePoint | None:
        """The point behind a process variable; None where it cannot be written."""
        device, point = self._owners.get(name, ("", ""))
        if (found := self._points.get(device, {}).get(point)) is None:
            return None
        rule, record = self._access.rule_of(device, found), self._records[device][point]
        return WritablePoint(device=device, point=found, rule=rule, record=record)

    def refused(self, name: str) -> bool:
        """Show at a process variable that a put was refused; whether anything is to be sent."""
        if row := self._present(name):
            status = _WRITE if row.severity <= MINOR else row.status
            self._waiting[name] = PvRow(name, None, max(row.severity, MINOR), status, row.time_s)
        return bool(self._waiting)

    def shown_again(self, name: str, now_ns: int) -> bool:
        """Show the value without the refusal; whether anything is to be sent."""
        device, _ = self._owners.get(name, ("", ""))
        if row := self._present(name):
            is_lost = device in self._lost
            self._waiting[name] = PvRow(name, None, INVALID, _COMM, now_ns / 1e9) if is_lost else row
        return bool(self._waiting)

    def _present(self, name: str) -> PvRow | None:
        device, point = self._owners.get(name, ("", ""))
        return self._rows.get(device, {}).get(point)

    def readings(self, message: Readings) -> bool:
        """Take readings; whether anything is to be sent."""
        device, records = message.device, self._records.get(message.device)
        came = self._came.setdefault(device, {})
        for place, point in enumerate(message.points):
            record = records.get(point) if records is not None else None
            if records is not None and record is None:
                continue
            severity, status = _alarm(Quality(message.qualities[place]), message.alarms.get(point, 0))
            came[point] = one = (message.values[place], severity, status, message.device_ns[place] / 1e9)
            if record is not None:
                self._take(device, record, point, one)
        return bool(self._waiting)

    def _take(self, device: str, record: PvRecord, point: str, came: _Came) -> None:
        """A value for this record."""
        if not self._owns(record.name, device, point):
            return
        given, severity, status, time_s = came
        value = _value(record, given)
        if value is None and severity != INVALID:
            severity, status = INVALID, _READ  # the last value stays, and is not the present one
        row = PvRow(record.name, value, severity, status, time_s)
        self._rows.setdefault(device, {})[point] = row
        if device not in self._lost:
            self._waiting[record.name] = row

    def beat(self, devices: Iterable[str], now_s: float) -> bool:
        """The host of these devices lives; whether anything is to be sent."""
        for device in devices:
            self._beaten_s[device] = now_s
            if device in self._lost:
                self._lost.discard(device)
                self._waiting.update({row.name: row for row in self._rows_of(device)})
        return bool(self._waiting)

    def leave(self, devices: Iterable[str], now_ns: int) -> bool:
        """The host of these devices has ended; whether anything is to be sent."""
        for device in devices:
            self._lose(device, now_ns)
        return bool(self._waiting)

    def age(self, now_s: float, now_ns: int, *, is_bus_there: bool) -> bool:
        """Find the devices whose host is silent; whether anything is to be sent."""
        for device in self._records:
            if not is_bus_there or now_s - self._beaten_s.setdefault(device, now_s) > SILENT_S:
                self._lose(device, now_ns)
        return bool(self._waiting)

    def _lose(self, device: str, now_ns: int) -> None:
        if device not in self._lost:
            self._lost.add(device)
            self._waiting.update({row.name: row for row in self._lost_rows(device, now_ns)})

    def _lost_rows(self, device: str, now_ns: int) -> list[PvRow]:
        return [PvRow(row.name, None, INVALID, _COMM, now_ns / 1e9) for row in self._rows_of(device)]

    def all(self, now_ns: int) -> list[PvRow]:
        """The present value of every process variable that has one, for a server that has just been started."""
        self._waiting.clear()
        rows = [row for device in self._rows for row in self._rows_of(device)]
        return [*rows, *(row for device in self._lost for row in self._lost_rows(device, now_ns))]

    def _rows_of(self, device: str) -> list[PvRow]:
        """The last values of a device, without those of points that another one leaves without a process variable."""
        return [row for point, row in self._rows.get(device, {}).items() if self._owns(row.name, device, point)]

    def _owns(self, name: str, device: str, point: str) -> bool:
        return self._owners.get(name, (device, point)) == (device, point)

    def take_waiting(self) -> list[PvRow]:
        """What is to be sent, the newest value of each."""
        rows = list(self._waiting.values())
        self._waiting.clear()
        return rows


def _kind(record: PvRecord | None) -> tuple[str, str, int] | None:
    """What a value must have been made for to be one of this record."""
    return record and (record.name, record.kind, len(record.words))


def _value(record: PvRecord, value: Scalar) -> float | int | str | bool | None:
    """The value as the record takes it; None where it cannot."""
    match record.kind, value:
        case "float", int() | float() if not isinstance(value, bool) and math.isfinite(value):
            return float(value)
        case "int", int() if not isinstance(value, bool) and -_MOST_WHOLE <= value < _MOST_WHOLE:
            return value
        case "words", int() if not isinstance(value, bool) and 0 <= value < len(record.words):
            return value
        case "bool", bool():
            return value
        case "text", str():
            return _cut(value, MOST_TEXT)
        case _:
            return None


def _alarm(quality: Quality, alarm: int) -> tuple[int, int]:
    """Severity and status. `alarm`: the priority of an alarm that the device itself gives to the value."""
    match quality:
        case Quality.STALE:
            return INVALID, _COMM
        case Quality.BAD:
            return INVALID, _READ
        case _ if alarm:
            return (MINOR if alarm == 3 else MAJOR), _STATE
        case Quality.UNCERTAIN:
            return MINOR, _STATE
        case _:
            return NO_ALARM, NO_ALARM


def environment(interface: str, ports: Mapping[str, int]) -> dict[str, str]:
    """The environment of the server. `ports`: `ca`, `pva` and `pva_search`."""
    addresses = (
        {}
        if interface == "0.0.0.0"
        else {
            "EPICS_CAS_INTF_ADDR_LIST": interface,
            "EPICS_CAS_BEACON_ADDR_LIST": interface,
            "EPICS_CAS_AUTO_BEACON_ADDR_LIST": "NO",
            "EPICS_PVAS_INTF_ADDR_LIST": interface,
            "EPICS_PVAS_BEACON_ADDR_LIST": interface,
            "EPICS_PVAS_AUTO_BEACON_ADDR_LIST": "NO",
        }
    )
    return addresses | {
        "EPICS_CA_SERVER_PORT": str(ports["ca"]),
        "EPICS_CAS_SERVER_PORT": str(ports["ca"]),
        "EPICS_PVAS_SERVER_PORT": str(ports["pva"]),
        "EPICS_PVAS_BROADCAST_PORT": str(ports["pva_search"]),
        # With real-time scheduling an IOC locks all its pages in memory where it may (root): 150 MiB more.
        "EPICS_ALLOW_POSIX_THREAD_PRIORITY_SCHEDULING": "NO",
    }
