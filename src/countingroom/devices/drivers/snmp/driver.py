"""The driver of devices with an SNMP agent: one poll asks for the whole table in few questions (`questions.py`).

A value that the agent does not have makes its own point BAD. Only what is read back changes a value.
"""

from __future__ import annotations

from collections.abc import Sequence

from countingroom.core.errors import DeviceError, LinkError
from countingroom.core.points import Point
from countingroom.core.snmp import ber
from countingroom.core.snmp.ber import Oid
from countingroom.core.snmp.pdu import AUTHORIZATION_ERROR, GET, NO_ACCESS, NO_ERROR, SET, Varbind, asked, error_name
from countingroom.devices.drivers.snmp.codec import OidRow, text_of
from countingroom.devices.drivers.snmp.connection import SilentAgent, SnmpConnection
from countingroom.devices.drivers.snmp.description import SnmpSection
from countingroom.devices.drivers.snmp.points import points
from countingroom.devices.drivers.snmp.questions import Questions
from countingroom.devices.drivers.snmp.security import security_of
from countingroom.devices.port import Sample

UPTIME: Oid = (1, 3, 6, 1, 2, 1, 1, 3, 0)
OBJECT_ID: Oid = (1, 3, 6, 1, 2, 1, 1, 2, 0)
_DAY_TICKS = 24 * 360_000
_WRAP_TICKS = (1 << 32) - _DAY_TICKS
"""The clock of an agent begins again after 497 days. Within a day of that it is no restart."""
_PATIENCE = 12
"""Timeouts in one poll without an answer; the host gives a poll fifteen."""


class SnmpDriver:
    """A table of OIDs of one agent."""

    def __init__(self, section: SnmpSection) -> None:
        self._section = section
        self._source = f"{section.host}:{section.port}"
        self._points = points(section)
        self._rows = {name: OidRow(name, value) for name, value in section.values.items()}
        self._oids = tuple(dict.fromkeys((UPTIME, *(row.oid for row in self._rows.values()))))
        self._most_silent = _PATIENCE // (1 + section.retries)
        self._connection: SnmpConnection | None = None
        self._questions = Questions(self._oids, section.most_oids)
        self._ticks: int | None = None
        self._tags: dict[Oid, int] = {}
        """OID -> the type of its last answer."""

    @property
    def points(self) -> tuple[Point, ...]:
        return self._points

    async def connect(self) -> None:
        """Read the secrets and ask the agent for its time; LinkError where it does not answer, or is another one."""
        await self.close()
        section = self._section
        security = security_of(section, self._source)
        connection = SnmpConnection(self._source, security, section.timeout, section.retries)
        try:
            await connection.open(section.host, section.port)
            self._check_rights((await connection.ask(GET, asked([UPTIME]))).error)
            if section.object_id:
                await self._identify(connection, ber.oid(section.object_id))
        except BaseException:
            connection.close()
            raise
        self._connection = connection

    async def read(self) -> Sequence[Sample]:
        """Every value. LinkError where the agent does not answer at all, or was restarted since the last poll."""
        connection = self._connected()
        questions = self._questions
        questions.begin()
        silent = 0
        while chunk := questions.following():
            try:
                answer = await connection.ask(GET, asked(chunk))
            except SilentAgent:
                silent += 1
                # It may be this question alone: one value, or too many at once.
                if chunk == (UPTIME,) or not await self._is_there(connection):
                    raise
                questions.unanswered(chunk)
                if silent >= self._most_silent:
                    questions.give_up("not asked, as the agent did not answer other questions in time")
            else:
                questions.answered(chunk, answer)
        questions.end()
        self._check_restart(questions.answers.get(UPTIME))
        self._tags.update({oid: answer.tag for oid, answer in questions.answers.items()})
        return [self._sample(row) for row in self._rows.values()]

    async def write(self, point: str, value: float | int | str | bool) -> None:
        """Set a value. DeviceError where the agent refuses it, or does not answer although it answers questions."""
        row = self._rows[point]
        connection = self._connected()
        if not row.value.syntax and row.oid not in self._tags:
            asked_first = await connection.ask(GET, asked([row.oid]))
            self._tags.update((one.oid, one.tag) for one in asked_first.varbinds)
        try:
            answer = await connection.ask(SET, [row.varbind(value, self._tags.get(row.oid))])
        except SilentAgent as missing:
            if not await self._is_there(connection):
                raise
            raise DeviceError(
                f"the agent did not answer the SET of {point} ({row.value.oid}), which may be in force or not",
                code="timeout",
                source=self._source,
                suggestion="check `write_community`, and whether the agent takes values from this computer",
            ) from missing
        if answer.error != NO_ERROR:
            name = error_name(answer.error)
            raise DeviceError(
                f"the agent refused {value} for {point} ({row.value.oid}): {name}",
                code="refused_by_device",
                source=self._source,
                evidence={"error": name},
                suggestion="check that this OID can be written, the rights of the community or user, and the value",
            )

    async def close(self) -> None:
        """Close the socket, and forget the agent."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._questions = Questions(self._oids, self._section.most_oids)
        self._ticks = None
        self._tags.clear()

    def _connected(self) -> SnmpConnection:
        if self._connection is None:
            raise LinkError("there is no connection to the agent", source=self._source)
        return self._connection

    def _check_rights(self, error: int) -> None:
        if error in (NO_ACCESS, AUTHORIZATION_ERROR):
            raise LinkError(
                f"the agent at {self._source} lets nothing be read: {error_name(error)}",
                code="wrong_credentials",
                source=self._source,
                suggestion="check the rights of the community or user at the agent, and which of `authentication` and"
                " `privacy` it demands",
            )

    async def _identify(self, connection: SnmpConnection, wanted: Oid) -> None:
        answer = await connection.ask(GET, asked([OBJECT_ID]))
        found = answer.varbinds[0] if answer.varbinds else Varbind(OBJECT_ID)
        if not isinstance(found.value, tuple) or found.value[: len(wanted)] != wanted:
            raise LinkError(
                f"the sysObjectID of the agent is {text_of(found) or 'not there'}, and not {ber.dotted(wanted)}",
                code="wrong_device",
                source=self._source,
                suggestion="check host and port, or the key `object_id`",
            )

    async def _is_there(self, connection: SnmpConnection) -> bool:
        try:
            await connection.ask(GET, asked([UPTIME]))
        except SilentAgent:
            return False
        return True

    def _check_restart(self, answer: Varbind | None) -> None:
        before = self._ticks
        self._ticks = answer.value if answer and isinstance(answer.value, int) else None
        if before is not None and self._ticks is not None and self._ticks < before < _WRAP_TICKS:
            raise LinkError(
                "the agent was restarted: its time is less than before",
                code="restarted",
                source=self._source,
                suggestion="nothing is to be done; the device is connected again, and its settings are applied",
            )

    def _sample(self, row: OidRow) -> Sample:
        answer = self._questions.answers.get(row.oid)
        return row.sample(answer) if answer else row.bad(self._questions.reasons[row.oid])
