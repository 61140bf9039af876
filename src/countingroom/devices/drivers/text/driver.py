"""The driver of instruments that are asked in lines of text: one poll is its queries, each sent once, and a proof.

Answers carry no name. The proof is the identification at the end of the poll: when it comes, and no line came unasked,
every answer was that of its query. Otherwise the line is brought back into step and the poll is made once more.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from msgspec import Struct

from countingroom.core.errors import DeviceError, LinkError
from countingroom.core.points import Point
from countingroom.core.values import Quality
from countingroom.devices.drivers.text.codec import MOST_LETTERS, TableRow
from countingroom.devices.drivers.text.description import ERROR, IDENTIFICATION, TextSection
from countingroom.devices.drivers.text.points import points
from countingroom.devices.port import Sample
from countingroom.devices.serial.line import SerialPorts, Settings
from countingroom.devices.serial.pending_answers import Probe
from countingroom.devices.serial.unanswered import UnansweredQuestions

_ENDS = {"LF": "\n", "CR": "\r", "CRLF": "\r\n"}
_MOST_ERRORS = 16
"""Read from the queue at a time; an instrument that repeats one for ever must not hold up the poll."""
_MOST_IDENTITY = 256
"""Letters; IEEE 488.2 allows 72. The pattern is looked for at each of them."""
_SHOWN = 60


class _Identity:
    """The identification, and the last answer that was none."""

    def __init__(self, reply: str) -> None:
        self._pattern = re.compile(reply)
        self.other = ""

    def recognises(self, answer: bytes) -> bool:
        """Whether this answer identifies the instrument."""
        text = _text(answer)
        if len(text) <= _MOST_IDENTITY and self._pattern.search(text):
            return True
        self.other = text
        return False


class _Poll(Struct, frozen=True):
    """What one poll gave, and whether the answers are those of their queries."""

    samples: dict[str, Sample]
    is_proven: bool


class TextDriver:
    """An instrument with a table of queries and commands."""

    def __init__(self, section: TextSection, ports: SerialPorts) -> None:
        self.points: tuple[Point, ...] = points(section)
        self._section = section
        self._rows = {name: TableRow(name, value) for name, value in section.values.items()}
        self._every = {
            name: max(1, round(value.poll / section.poll)) if value.poll else 1
            for name, value in section.values.items()
        }
        self._identity = _Identity(section.identify.reply) if section.identify else None
        probes: tuple[Probe, ...] = ()
        if section.identify and self._identity:
            probes = (Probe(self._bytes(section.identify.query), self._identity.recognises, is_constant=True),)
        self._line = ports.line(
            Settings(
                address=section.port,
                baudrate=section.baudrate,
                bits=section.bits,
                parity=section.parity,
                stop_bits=section.stop_bits,
                rtscts=section.rtscts,
                terminator=section.answer_end.encode("latin-1"),
                ignores_echo=section.echo,
                probes=probes,
            )
        )
        self._questions = UnansweredQuestions()
        self._last: dict[str, Sample] = {}
        self._odd: dict[str, str] = {}
        """Value -> its answer in the last poll, where that could not be read."""
        self._polls = 0
        self._wanted: set[str] = set()
        """Values that are asked for in the next poll, whatever their own `poll`: a command waits for them."""

    async def connect(self) -> None:
        """Open the line and identify the instrument; LinkError where another one answers, or none."""
        self._questions = UnansweredQuestions()
        self._last.clear()
        self._odd.clear()
        self._polls = 0
        await self._line.open(self._section.timeout)
        if self._section.identify and self._identity:
            self._identity.other = ""
            try:
                answer = await self._ask(IDENTIFICATION, self._section.identify.query)
            except DeviceError:
                answer = None
            if answer is None or not self._identity.recognises(answer.encode("latin-1")):
                raise LinkError(
                    f"the instrument does not identify itself by {self._section.identify.reply!r}: it answers"
                    f" {self._identity.other[:_SHOWN]!r}",
                    code="wrong_device",
                    source=self._section.port,
                    suggestion="check the address and the key `identify`",
                )

    async def read(self) -> Sequence[Sample]:
        """Every value; BAD, with the reason, where the answers cannot be attributed to the queries."""
        self._questions.begin()
        found = await self._tried()
        if not found.is_proven:
            self._line.doubt()
            found = await self._tried()
        self._polls += 1
        if found.is_proven:
            self._wanted.clear()
            self._last |= found.samples
        else:
            reason = "the answers of the instrument cannot be attributed to the queries"
            self._last |= {
                point.name: Sample(point=point.name, value=None, quality=Quality.BAD, reason=reason)
                for point in self.points
                if point.name not in self._rows or self._rows[point.name].value.query
            }
        return [self._last.get(point.name) or _nothing(point.name) for point in self.points]

    async def write(self, point: str, value: float | int | str | bool) -> None:
        """Send the command of a setpoint. DeviceError where the instrument refuses it."""
        row = self._rows[point]
        text = row.command(value)
        if row.value.set_reply:
            answer = await self._line.query(
                self._bytes(text), timeout_s=self._section.timeout, quiet_s=self._section.gap
            )
            if not _fits(row.value.set_reply, _text(answer)):
                raise self._refused(text, _text(answer)[:_SHOWN])
        else:
            await self._line.send(self._bytes(text), quiet_s=self._section.write_gap)
        self._wanted |= {point, row.value.readback} - {""}
        if self._section.errors and (errors := await self._errors()):
            raise self._refused(text, errors)

    async def close(self) -> None:
        """Leave the line."""
        await self._line.close()

    async def _tried(self) -> _Poll:
        try:
            return await self._poll()
        except DeviceError:  # the line cannot be brought into step
            return _Poll({}, False)

    async def _poll(self) -> _Poll:
        disturbances = self._line.disturbances
        samples: dict[str, Sample] = {}
        answers: dict[str, str | None] = {}
        odd: dict[str, str] = {}
        for name, row in self._rows.items():
            query = row.value.query
            if not query or not self._is_due(name):
                continue
            if query not in answers:
                answers[query] = await self._ask(query, query) if self._questions.is_due(query) else None
            answer = answers[query]
            samples[name] = self._unanswered(row) if answer is None else row.sample(answer)
            if answer is not None and samples[name].quality is Quality.BAD:
                odd[name] = answer
        if self._section.errors:
            samples[ERROR] = Sample(point=ERROR, value=await self._errors() or "")
        if self._section.identify and self._identity:
            proof = await self._ask(IDENTIFICATION, self._section.identify.query)
            samples[IDENTIFICATION] = _identified(proof)
            is_proven = proof is not None and self._identity.recognises(proof.encode("latin-1"))
        else:
            # An odd answer that comes again is how this instrument answers.
            is_proven = all(self._odd.get(name) == answer for name, answer in odd.items())
        self._odd = odd
        return _Poll(samples, is_proven and self._line.disturbances == disturbances)

    def _is_due(self, name: str) -> bool:
        return name in self._wanted or name not in self._last or self._polls % self._every[name] == 0

    async def _ask(self, question: str, query: str) -> str | None:
        """The answer; None where the instrument answers others, but not this query."""
        try:
            answer = await self._line.ask(
                self._bytes(query),
                timeout_s=self._section.timeout,
                quiet_s=self._section.gap,
                is_proven=self._questions.is_proven(question),
            )
        except DeviceError as error:
            if error.cause.code != "unanswered":
                raise
            self._questions.missed(question)
            return None
        self._questions.answered(question)
        return _text(answer)

    async def _errors(self) -> str:
        """The errors in the queue of the instrument, which is empty then."""
        errors, found = self._section.errors, list[str]()
        for _ in range(_MOST_ERRORS):
            is_due = errors is not None and self._questions.is_due(ERROR)
            answer = await self._ask(ERROR, errors.query) if errors and is_due else None
            if errors is None or answer is None or _fits(errors.none, answer):
                break
            found.append(answer[:_SHOWN])
        return "; ".join(found)

    def _unanswered(self, row: TableRow) -> Sample:
        if self._questions.is_proven(row.value.query):
            return Sample(point=row.name, value=None, quality=Quality.STALE)
        return row.bad(f"the instrument does not answer {row.value.query}")

    def _refused(self, command: str, reason: str) -> DeviceError:
        return DeviceError(
            f"the instrument refused {command}: {reason}",
            code="refused_by_device",
            source=self._section.port,
            evidence={"answer": reason},
            suggestion="look at the limits and the mode of the instrument",
        )

    def _bytes(self, text: str) -> bytes:
        return (text + _ENDS[self._section.line_end]).encode("latin-1")


def _identified(answer: str | None) -> Sample:
    if answer is None:
        return Sample(point=IDENTIFICATION, value=None, quality=Quality.STALE)
    return Sample(point=IDENTIFICATION, value=answer)


def _nothing(name: str) -> Sample:
    """A value that is not read: a setpoint without a query, or one that was not asked for yet."""
    return Sample(point=name, value=None, quality=Quality.BAD)


def _fits(expression: str, answer: str) -> bool:
    return len(answer) <= MOST_LETTERS and re.fullmatch(expression, answer) is not None


def _text(answer: bytes) -> str:
    return answer.decode("latin-1").strip()
