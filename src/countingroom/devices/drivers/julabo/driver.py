"""The driver of a Julabo: one poll is a sequence of questions that ends with STATUS.

Answers carry no name: `12.50` can be a bath temperature or a power. One unasked answer would shift all that follow,
and every one of them would look right. So the values of a poll are passed on only when its last answer is unmistakable;
else the line is brought back into step and the poll is made once more. Which answers are suspect even then
is told by `shifted.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct

from countingroom.core.errors import DeviceError
from countingroom.core.points import Point
from countingroom.core.values import Quality, Scalar
from countingroom.devices.drivers.julabo import codec
from countingroom.devices.drivers.julabo.description import JulaboSection
from countingroom.devices.drivers.julabo.points import NOT_KNOWN, points
from countingroom.devices.drivers.julabo.shifted import ShiftedAnswers, unconfirmed
from countingroom.devices.port import Sample
from countingroom.devices.serial.line import SerialPorts, Settings
from countingroom.devices.serial.pending_answers import Probe
from countingroom.devices.serial.receiver import ANY_LINE_END
from countingroom.devices.serial.unanswered import UnansweredQuestions

PROBES = (Probe(codec.VERSION, codec.is_version, is_constant=True), Probe(codec.STATUS, codec.is_status))

_PARSERS: dict[str, Callable[[bytes], Scalar]] = {
    "power": codec.parse_power,
    "external_temp": codec.parse_sensor,
    "used_setpoint": codec.parse_setpoint_number,
    "ext_is_used": codec.parse_switch,
    "running": codec.parse_switch,
}
"""Point -> parser of its answer; `parse_temperature` where not named."""

_LONGEST_GAP_S = 0.5
_FIRST_GAP_S = 0.1
"""Silence after an answer on a line that doubles answers, so that the second of them comes before the next question."""


_MOST_CONFIRMATIONS = 5
"""Polls that are made once more because an answer may be that of another question. Two sensors in the same bath show
the same number by chance in every fourth poll."""


class _Poll(Struct, frozen=True, kw_only=True):
    """What one poll gave."""

    samples: tuple[Sample, ...]
    answers: dict[str, bytes | None]


class JulaboDriver:
    """A chiller on a serial line."""

    def __init__(self, section: JulaboSection, ports: SerialPorts) -> None:
        self._section = section
        self._line = ports.line(
            Settings(
                address=section.port,
                baudrate=section.baudrate,
                bits=section.bits,
                parity=section.parity,
                stop_bits=section.stop_bits,
                rtscts=section.rtscts,
                terminator=ANY_LINE_END,
                ignores_echo=True,
                probes=PROBES,
            )
        )
        self._gap_s = section.read_gap
        self._version = b""
        self._questions = UnansweredQuestions()
        self._shifted = ShiftedAnswers()
        self._odd: dict[str, bytes] = {}
        """Point -> an unreadable answer that came although the line was in step: asking again does not help."""
        self._stage = Sample(point="pressure_stage", value=NOT_KNOWN, quality=Quality.UNCERTAIN)

    @property
    def points(self) -> tuple[Point, ...]:
        return points(self._section)

    async def connect(self) -> None:
        self._gap_s = self._section.read_gap
        self._questions = UnansweredQuestions()
        self._odd = {}
        self._shifted = ShiftedAnswers()
        await self._line.open(self._section.timeout)
        version = await self._ask("version", codec.VERSION)
        self._version = version if version is not None and codec.is_version(version) else b""

    async def read(self) -> Sequence[Sample]:
        self._questions.begin()
        found = await self._poll()
        if found is None:
            self._line.doubt()
            # An answer that came twice or late arrives in this silence and is dropped, not taken for the next one.
            self._gap_s = min(_LONGEST_GAP_S, max(_FIRST_GAP_S, 2 * self._gap_s))
            found = await self._poll(again=True)
        if found is not None:
            found = await self._confirmed(found)
            self._shifted.believe(found.answers)
        return [*(found.samples if found else self._all_bad()), self._stage, self._version_sample()]

    async def _confirmed(self, found: _Poll) -> _Poll:
        """This poll, or a later one in which each suspect answer is the same as in the poll before it. Where there is
        none the answers from the first suspect on are bad; that to STATUS is beyond doubt."""
        suspects = self._shifted.suspects(found.answers)
        for _ in range(_MOST_CONFIRMATIONS):
            if not suspects:
                break
            self._line.doubt()
            again = await self._poll(again=True)
            if again is not None:
                suspects = unconfirmed(self._shifted.suspects(again.answers), found.answers, again.answers)
                found = again
        return _until(found, suspects) if suspects else found

    async def write(self, point: str, value: float | int | str | bool) -> None:
        await self._line.send(codec.request(point, value), quiet_s=self._section.write_gap)
        refusal = await self._refusal()
        if refusal is not None:
            raise DeviceError(
                f"the chiller refused {value} for {point}: {refusal.code} {refusal.text}",
                code="refused_by_device",
                source=self._section.port,
                evidence={"status": refusal.code, "text": refusal.text},
                suggestion="look at the limits and the operating mode of the chiller",
            )
        if point == "pressure_stage":
            self._stage = Sample(point=point, value=value, quality=Quality.UNCERTAIN)

    async def close(self) -> None:
        await self._line.close()

    async def _refusal(self) -> codec.Status | None:
        """Why the bath refused the last setting. Without a readable answer the readback alone decides."""
        try:
            answer = await self._ask("status_code", codec.STATUS)
        except DeviceError:
            return None
        return None if answer is None else codec.refusal(answer)

    async def _poll(self, *, again: bool = False) -> _Poll | None:
        """One poll; None when its end shows that an answer may be that of another question."""
        disturbances = self._line.disturbances
        answers: dict[str, bytes | None] = {}
        try:
            for point, question in codec.READS.items():
                if self._questions.is_due(point):
                    answers[point] = await self._ask(point, question)
            status, in_step = await self._status()
        except DeviceError:
            return None
        if not in_step or self._line.disturbances != disturbances or any(map(self._is_of_a_probe, answers.values())):
            return None
        samples = [self._sample(point, answers.get(point)) for point in codec.READS]
        odd = {point: answer for point, answer in answers.items() if answer is not None and _is_nonsense(point, answer)}
        # An odd answer that was there before is how this bath answers: asking again would double the traffic for ever.
        if not again and any(self._odd.get(point) != answer for point, answer in odd.items()):
            return None
        self._odd = odd
        return _Poll(samples=(*self._status_samples(status), *samples), answers=answers)

    def _is_of_a_probe(self, answer: bytes | None) -> bool:
        """Whether it answers VERSION or STATUS, and none of the other questions."""
        if answer is None or codec.refusal(answer) is not None:
            return False
        return answer == self._version or codec.is_status(answer)

    async def _status(self) -> tuple[bytes | None, bool]:
        """The answer to STATUS, and whether it can only be the answer to it.

        A refusal is told once; the next answer tells how the bath is. A bath that answers an unknown question with a
        refusal could have meant that one, so then, and where STATUS has no number, VERSION is the proof.
        """
        answer = await self._ask("status_code", codec.STATUS)
        if answer is not None and codec.refusal(answer) is not None:
            answer = await self._ask("status_code", codec.STATUS)
        elif answer is not None and codec.is_status(answer):
            return answer, True
        if not self._version:
            return answer, answer is None or codec.is_status(answer)
        return answer, await self._ask("version", codec.VERSION) == self._version

    async def _ask(self, point: str, question: bytes) -> bytes | None:
        """The answer; None where the bath answers others, but not this question."""
        try:
            answer = await self._line.ask(
                question,
                timeout_s=self._section.timeout,
                quiet_s=self._gap_s,
                is_proven=self._questions.is_proven(point),
            )
        except DeviceError as error:
            if error.cause.code != "unanswered":
                raise
            self._questions.missed(point)
            return None
        self._questions.answered(point)
        return answer

    def _sample(self, point: str, answer: bytes | None) -> Sample:
        if answer is None:
            return self._missing(point, codec.READS[point])
        refused = codec.refusal(answer)
        if refused is not None:
            reason = f"the chiller answers {_shown(codec.READS[point])} with {refused.code} {refused.text}"
            return Sample(point=point, value=None, quality=Quality.BAD, reason=reason)
        try:
            value = _PARSERS.get(point, codec.parse_temperature)(answer)
        except DeviceError as error:
            return Sample(point=point, value=None, quality=Quality.BAD, reason=error.cause.message)
        return Sample(point=point, value=value, quality=Quality.BAD if value is None else Quality.GOOD)

    def _missing(self, point: str, question: bytes) -> Sample:
        """STALE for an answer that was lost this time; BAD for a question that the bath has never answered."""
        if self._questions.is_proven(point):
            return Sample(point=point, value=None, quality=Quality.STALE)
        reason = f"the chiller does not answer {_shown(question)}"
        return Sample(point=point, value=None, quality=Quality.BAD, reason=reason)

    def _status_samples(self, answer: bytes | None) -> tuple[Sample, Sample]:
        if answer is None:
            missing = self._missing("status_code", codec.STATUS)
            return missing, Sample(point="status_text", value=None, quality=missing.quality)
        try:
            status = codec.parse_status(answer)
        except DeviceError as error:
            message = error.cause.message
            code = Sample(point="status_code", value=None, quality=Quality.BAD, reason=message)
            if codec.is_words(answer):
                return code, Sample(point="status_text", value=_shown(answer))
            return code, Sample(point="status_text", value=message, quality=Quality.UNCERTAIN)
        return Sample(point="status_code", value=status.code), Sample(point="status_text", value=status.text)

    def _all_bad(self) -> list[Sample]:
        reason = "the answers of the chiller cannot be attributed to the questions"
        names = ("status_code", *codec.READS)
        bad = [Sample(point=name, value=None, quality=Quality.BAD, reason=reason) for name in names]
        return [Sample(point="status_text", value=reason, quality=Quality.UNCERTAIN), *bad]

    def _version_sample(self) -> Sample:
        if self._version:
            return Sample(point="version", value=_shown(self._version))
        reason = "the chiller does not answer VERSION"
        return Sample(point="version", value=None, quality=Quality.BAD, reason=reason)


def _until(found: _Poll, suspects: frozenset[str]) -> _Poll:
    """This poll with good answers before the first suspect alone: from there on all can be shifted."""
    names = tuple(codec.READS)
    doubtful = frozenset(names[min(map(names.index, suspects)) :])
    reason = "the answer of the chiller may be that to another question"
    return _Poll(
        samples=tuple(
            Sample(point=one.point, value=None, quality=Quality.BAD, reason=reason) if one.point in doubtful else one
            for one in found.samples
        ),
        answers={point: answer for point, answer in found.answers.items() if point not in doubtful},
    )


def _is_nonsense(point: str, answer: bytes) -> bool:
    if codec.refusal(answer) is not None:
        return False
    try:
        _PARSERS.get(point, codec.parse_temperature)(answer)
    except DeviceError:
        return True
    return False


def _shown(data: bytes) -> str:
    return data.decode("ascii", "backslashreplace").strip()
