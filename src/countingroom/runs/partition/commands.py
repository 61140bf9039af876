"""Law: what a partition can be asked for is this table of words; each becomes a goal, a choice or an entry."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from uuid import uuid4

from countingroom.core import subjects
from countingroom.core.errors import Cause, Conflict, DeviceError, NotFound, OutOfRange
from countingroom.core.messages import decode, encode
from countingroom.core.partitions import Goal
from countingroom.core.run_book import Run, RunEnd, RunLimit
from countingroom.core.systems import Action, Answer, Order
from countingroom.core.values import Scalar
from countingroom.runs.access.arguments import LATER, Asked, Rest, Word
from countingroom.runs.access.command_server import Refusal
from countingroom.runs.access.control_commands import control_words
from countingroom.runs.owner_messages import ANSWER_S
from countingroom.runs.partition.configuration_selection import Choice
from countingroom.runs.partition.move_hold import Holding
from countingroom.runs.partition.port import Ownership
from countingroom.runs.partition.run_lifecycle import RunLife
from countingroom.runs.partition.run_numbers import LIMIT, limit_of, reserve
from countingroom.runs.partition.run_sequence import Sequence
from countingroom.runs.planner.legality import REASONS, next_state, refusal


class PartitionWords:
    """Carries out what is asked of one partition."""

    def __init__(self, tenure: Ownership, life: RunLife, choice: Choice, holding: Holding, sequence: Sequence) -> None:
        self._tenure, self._life, self._choice, self._holding = tenure, life, choice, holding
        self.words: Mapping[str, Word] = {
            "configure": Word(self._configure),
            "configure_all": Word(self._configure_all),
            "goal": Word(self._goal, takes=("state", "tag", *LIMIT, "comment")),
            "start": Word(self._start, takes=(*LIMIT, "comment")),
            "repeat": Word(self._repeat),
            "stop": Word(self._stop),
            "abort": Word(self._abort),
            "reset": Word(self._reset, takes=("system",)),
            "include": Word(self._include, takes=("system",)),
            "exclude": Word(self._exclude, takes=("system",)),
            "lock": Word(self._lock),
            "unlock": Word(self._unlock),
            "select": Word(self._select, takes=("tag",)),
            "select_one": Word(self._select_one, takes=("system", "tag")),
            "comment": Word(self._comment, takes=("run", "text")),
            "flag": Word(self._flag, takes=("run", "quality")),
            **sequence.words,
            **control_words(
                tenure.control, partial(tenure.office.people.principal, target=subjects.partition_key(tenure.name))
            ),
        }

    @property
    def present(self) -> str:
        """The state it is in."""
        return self._tenure.partition.state

    def refusal(self, asked: Asked) -> Cause | None:
        """Why it cannot be done now."""
        action = asked.command.action
        if action not in REASONS:
            return None
        if action == "goal" and asked.text("tag", ""):
            action = "select"  # what is wanted then is looked at when it is selected
        return refusal(
            self._tenure.partition,
            action,
            system=asked.text("system", ""),
            state="" if asked.text("tag", "") else asked.text("state", ""),
        )

    # Goals.

    async def _configure(self, asked: Asked) -> Rest:
        return self._want(asked, next_state(self._tenure.partition))

    async def _configure_all(self, asked: Asked) -> Rest:
        partition = self._tenure.partition
        recording = partition.template.recording
        return self._want(asked, recording if partition.state == recording else partition.template.top)

    async def _goal(self, asked: Asked) -> Rest:
        template, state = self._tenure.partition.template, asked.text("state")
        if state not in template.rests:
            raise NotFound(
                f"{self._tenure.name} cannot rest in {state}",
                suggestion=f"choose one of {', '.join(template.rests)}",
            )
        limit = await limit_of(self._tenure.office.bus, asked)
        if tag := asked.text("tag", ""):
            await self._choice.all(tag, asked.by)
            if cause := refusal(self._tenure.partition, "goal", state=state):
                raise Refusal(cause)
        if state == template.recording and not self._tenure.partition.run:
            return self._want(asked, state, await self._reserved(asked, limit, asked.text("comment", "")))
        return self._want(asked, state)

    async def _start(self, asked: Asked) -> Rest:
        limit = await limit_of(self._tenure.office.bus, asked)
        run = await self._reserved(asked, limit, asked.text("comment", ""))
        return self._want(asked, self._tenure.partition.template.recording, run)

    async def _repeat(self, asked: Asked) -> Rest:
        last = await self._tenure.office.database.runs.last(self._tenure.name)
        if last is None:
            raise NotFound(f"{self._tenure.name} has had no run", suggestion="start one")
        run = await self._reserved(asked, last.limit, f"repeats run {last.number}")
        return self._want(asked, self._tenure.partition.template.recording, run)

    async def _stop(self, asked: Asked) -> Rest:
        return self._want(asked, self._tenure.partition.template.top, stop=True)

    async def _abort(self, asked: Asked) -> Rest:
        return self._want(asked, self._tenure.partition.template.idle, at_once=True)

    def _want(
        self, asked: Asked, state: str, run: Run | None = None, *, at_once: bool = False, stop: bool = False
    ) -> Rest:
        goal = Goal(
            state=state,
            requested_by=asked.by,
            since_ns=self._tenure.office.clock.now_ns(),
            command_id=asked.command.id,
            at_once=at_once,
            stop=stop,
        )
        self._tenure.goal(goal, asked.command.action, run=run)
        return LATER

    async def _reserved(self, asked: Asked, limit: RunLimit | None, comment: str) -> Run:
        """A number for the run that is asked for, given back where it cannot be begun any more by then."""
        run = await reserve(self._tenure, self._life, asked.by, limit, comment)
        if cause := self.refusal(asked):
            self._life.over(run.number, RunEnd.NEVER_STARTED, cause)
            raise Refusal(cause)
        return run

    # Single systems.

    async def _reset(self, asked: Asked) -> Rest:
        system = self._choice.member(asked.text("system"))
        return self._order(system, Action.RESET)

    async def _order(self, system: str, action: Action) -> dict[str, Scalar]:
        tenure = self._tenure
        seconds = tenure.partition.template.abort_s
        order = Order(
            id=f"{tenure.name}-{uuid4().hex}",
            action=action,
            partition=tenure.name,
            fence=tenure.lease.token,
            deadline_ns=tenure.office.clock.now_ns() + round(seconds * 1e9),
        )
        message = await tenure.office.bus.request(subjects.agent(system), encode(order), timeout_s=ANSWER_S)
        answer = decode(message.data, Answer)
        if not answer.accepted:
            raise DeviceError(
                f"{system} does not {action.value}",
                source=f"systems.{system}",
                causes=(answer.cause,) if answer.cause else (),
                suggestion=f"look at {system}",
            )
        return {"system": system}

    async def _include(self, asked: Asked) -> Rest:
        return await self._change(asked, included=True)

    async def _exclude(self, asked: Asked) -> Rest:
        return await self._change(asked, included=False)

    async def _change(self, asked: Asked, *, included: bool) -> Rest:
        tenure, system = self._tenure, self._choice.member(asked.text("system"))
        await tenure.office.database.partitions.include(tenure.name, system, included, asked.by)
        kind = "include" if included else "exclude"
        tenure.book.note(tenure.partition.run, kind, f"{system} is {kind}d", author=asked.by, system=system)
        await tenure.muster()
        return None

    async def _lock(self, asked: Asked) -> Rest:
        return await self._set_lock(asked, locked=True)

    async def _unlock(self, asked: Asked) -> Rest:
        return await self._set_lock(asked, locked=False)

    async def _set_lock(self, asked: Asked, *, locked: bool) -> Rest:
        await self._tenure.office.database.partitions.lock(self._tenure.name, locked, asked.by)
        self._holding.lock(locked)
        return None

    # What is to be configured.

    async def _select(self, asked: Asked) -> Rest:
        await self._choice.all(asked.text("tag"), asked.by)
        return None

    async def _select_one(self, asked: Asked) -> Rest:
        await self._choice.one(self._choice.member(asked.text("system")), asked.text("tag"), asked.by)
        return None

    # The run book.

    async def _comment(self, asked: Asked) -> Rest:
        text = asked.text("text")
        number = self._number(asked)
        await self._of_mine(number)
        self._tenure.book.note(number, "comment", text, author=asked.by)
        await self._tenure.book.written()
        return None

    async def _flag(self, asked: Asked) -> Rest:
        number = self._number(asked)
        await self._of_mine(number)
        await self._tenure.office.database.runs.flag(number, asked.text("quality", ""), asked.by)
        return None

    def _number(self, asked: Asked) -> int:
        """Of the run that is meant; the one that is open where none is named."""
        number = asked.whole("run")
        if number is None and not self._tenure.partition.run:
            raise OutOfRange("no run is open", code="missing_argument", suggestion="give the number of a run")
        return self._tenure.partition.run if number is None else number

    async def _of_mine(self, number: int) -> None:
        run = await self._tenure.office.database.runs.get(number)
        if run.partition != self._tenure.name:
            raise Conflict(f"run {number} is of {run.partition}", suggestion=f"ask {run.partition}")
