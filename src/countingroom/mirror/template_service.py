"""The queue of withheld templates as a service: people ask for it and decide; a decision counts at once.

Decisions are on the disk before they are answered, and come as commands, so each is authorised, recorded and audited as
all commands are.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec
from msgspec import structs

from countingroom.bus.command_request import (
    CommandHandler,
    CommandRequest,
    Completion,
    find_handler,
    from_rows,
)
from countingroom.bus.command_server import CommandServer
from countingroom.bus.port import Bus, Message
from countingroom.bus.publisher import Publisher
from countingroom.core import subjects
from countingroom.core.admission import malformed
from countingroom.core.clock import Clock
from countingroom.core.commands.mirror import MIRROR, TARGET
from countingroom.core.errors import Cause, LinkError, NotFound, OutOfRange, Refused
from countingroom.core.messages import Command, Malformed, decode, encode
from countingroom.core.mirror.approvals import ApprovalTable, TemplateDecision, template_id
from countingroom.core.mirror.last_check import LastCheck
from countingroom.core.mirror.proposals import proposal, why_not, words
from countingroom.core.mirror.pseudonyms import Pseudonyms
from countingroom.core.mirror.template_queries import (
    QUERY,
    TEMPLATES_KEY,
    DecidedTemplate,
    QueuedSlot,
    QueuedTemplate,
    TemplatesAnswer,
    TemplatesQuery,
    TemplatesState,
)
from countingroom.core.mirror.templates import Approval, SlotRule, read_line, render
from countingroom.core.mirror.tokens import PLAIN
from countingroom.core.policy import Permission
from countingroom.core.series import QueryRefusal
from countingroom.mirror.decision_files import (
    DECISIONS,
    QUEUE,
    append_decisions,
    read_decisions,
    read_queue,
    write_queue,
)
from countingroom.mirror.withheld import QueueEntry, WithheldQueue

_log = logging.getLogger(__name__)

DEPARTMENT = "mirror"
STATE_S = 2.0
"""So often the counts are published, where they have changed."""
_KEEP_EVERY = 15
"""The queue is kept on the disk at each such publication."""
_MARKS = 4000
_VALUES = 20
_LETTERS = 120
_MOST_DECIDED = 500
_MOST_BYTES = 700_000
"""Of an answer: a message of the bus has at most 1 MiB."""
_DAY_NS = 86_400_000_000_000


class TemplateService:
    """Runs until cancelled."""

    def __init__(
        self,
        bus: Bus,
        clock: Clock,
        publisher: Publisher,
        table: ApprovalTable,
        queue: WithheldQueue,
        check: LastCheck,
        aliases: Callable[[], Pseudonyms],
        data: Path,
        *,
        two_persons: bool,
    ) -> None:
        """`table`, `queue`: those of the redactors. `aliases` gives those in force. `publisher`: of the role, which
        runs it. ConfigurationError for a file of decisions that cannot be read."""
        self._bus = bus
        self._clock = clock
        self._publisher = publisher
        self._table = table
        self._queue = queue
        self._check = check
        self._aliases = aliases
        self._data = data
        self._two_persons = two_persons
        self._cause = ""
        self._proposed: OrderedDict[str, Approval] = OrderedDict()
        """Mark -> what was shown for approval."""
        handlers = {"approve": self._approve, "confirm": self._confirm, "refuse": self._refuse}
        self._handlers = from_rows(MIRROR, {**handlers, "withdraw": self._withdraw})
        table.decide(read_decisions(data / DECISIONS), clock.now_ns())
        read_queue(data / QUEUE, queue)
        self._refresh()

    async def run(self) -> None:
        """Until cancelled."""
        server = CommandServer(self._bus, self._clock, DEPARTMENT, TARGET, self, self._publisher)
        try:
            async with (
                self._bus.respond(subjects.query(DEPARTMENT, QUERY), self._answer, concurrency=2),
                asyncio.TaskGroup() as group,
            ):
                group.create_task(server.run())
                group.create_task(self._tell())
        finally:
            self._keep_queue()

    def state(self) -> TemplatesState:
        """How many there are."""
        stands = [self._stands(one) for one in self._table.decisions]
        return TemplatesState(
            waiting=len(self._queue),
            lines=self._queue.lines,
            to_confirm=stands.count("to_confirm"),
            approved=stands.count("approved"),
            refused=stands.count("refused"),
            expired=stands.count("expired"),
            two_persons=self._two_persons,
            cause=self._cause,
        )

    async def _tell(self) -> None:
        kept = self._queue.changes
        told: TemplatesState | None = None
        rounds = 0
        while True:
            self._refresh()
            if (state := self.state()) != told:
                self._publisher.state(TEMPLATES_KEY, state)
                told = state
            rounds += 1
            if rounds % _KEEP_EVERY == 0 and kept != self._queue.changes:
                kept = self._queue.changes
                await asyncio.to_thread(self._keep_queue)
            await self._clock.sleep(STATE_S)

    def _refresh(self) -> None:
        """What has expired waits again."""
        self._table.refresh(self._clock.now_ns())
        self._queue.leave_out(one.template for one in self._table.decisions if self._stands(one) != "expired")

    def _keep_queue(self) -> None:
        try:
            write_queue(self._data / QUEUE, self._queue.dump())
        except OSError as error:
            _log.warning("the queue of withheld templates is not kept: %s", error)

    # CommandTarget.

    def handler(self, command: Command) -> CommandHandler:
        return find_handler(self._handlers, command, "the mirror")

    def permission(self, command: Command) -> Permission:
        return MIRROR[command.action].permission if command.action in MIRROR else Permission.ADMINISTER

    def present(self, command: Command) -> str:
        """What stands of the template now."""
        found = self._decision(str(command.arguments.get("template", "")))
        return self._stands(found) if found else "waiting"

    def refusal(self, request: CommandRequest) -> Cause | None:
        """None: the handlers refuse."""
        return None

    async def settle(self) -> Mapping[str, int]:
        self._publisher.state(TEMPLATES_KEY, self.state())
        await self._publisher.flush()
        return {"state": self._publisher.revision} if self._publisher.revision else {}

    # Commands.

    async def _approve(self, request: CommandRequest) -> Completion:
        shown = self._proposed.get(request.text("mark"))
        if shown is None or template_id(shown.template) != request.text("template"):
            raise Refused(
                Cause(
                    code="not_shown",
                    message="what is to be approved is not what was shown",
                    source="mirror.templates",
                    suggestion="look at the template again, then approve it",
                )
            )
        if hit := self._check.find(" ".join(words(shown.template))):
            raise Refused(
                Cause(
                    code="name_in_words",
                    message=f"the words of this template hold a {hit.kind} of the inside",
                    source="mirror.templates",
                    suggestion="refuse the template: its words leave with each of its lines",
                )
            )
        slots = _masked(shown.slots, request.text("mask", ""))
        days = request.number("days")
        if days is not None and not 0 < days <= 36_500:
            raise OutOfRange("days is more than 0 and at most 36500", suggestion="leave it out for no end")
        now_ns = self._clock.now_ns()
        decision = TemplateDecision(
            approval=structs.replace(shown, slots=slots, by=request.by, changed_ns=now_ns),
            reason=request.text("reason"),
            expires_ns=0 if days is None else now_ns + round(days * _DAY_NS),
            waits=self._two_persons,
        )
        await self._decide(decision)
        return None

    async def _confirm(self, request: CommandRequest) -> Completion:
        found = self._known(request)
        if not found.waits:
            raise Refused(
                Cause(
                    code="nothing_to_confirm",
                    message=f"this template is {self._stands(found)}: nothing waits for a second person",
                    source="mirror.templates",
                    suggestion="look at the list again",
                )
            )
        if found.approval.by == request.by:
            raise Refused(
                Cause(
                    code="same_person",
                    message=f"{request.by} approved it: the second person is another one",
                    source="mirror.templates",
                    suggestion="ask another user with the role expert to confirm it",
                )
            )
        await self._decide(structs.replace(found, waits=False, confirmed_by=request.by))
        return None

    async def _refuse(self, request: CommandRequest) -> Completion:
        approval = Approval(
            template=self._template(request.text("template")),
            by=request.by,
            refused=True,
            changed_ns=self._clock.now_ns(),
        )
        await self._decide(TemplateDecision(approval=approval, reason=request.text("reason")))
        return None

    async def _withdraw(self, request: CommandRequest) -> Completion:
        found = self._known(request)
        approval = structs.replace(found.approval, by=request.by, changed_ns=self._clock.now_ns())
        await self._decide(
            structs.replace(found, approval=approval, reason=request.text("reason"), withdrawn=True, waits=False)
        )
        return None

    async def _decide(self, decision: TemplateDecision) -> None:
        try:
            await asyncio.to_thread(append_decisions, self._data / DECISIONS, [decision])
        except LinkError as error:
            self._cause = error.cause.message
            raise
        self._cause = ""
        self._table.decide([decision], self._clock.now_ns())
        self._refresh()

    def _known(self, request: CommandRequest) -> TemplateDecision:
        found = self._decision(request.text("template"))
        if found is None:
            raise NotFound("nothing was decided of this template here", suggestion="look at the list again")
        return found

    def _decision(self, id: str) -> TemplateDecision | None:
        return next((one for one in self._table.decisions if template_id(one.template) == id), None)

    def _template(self, id: str) -> str:
        """The template of an id, that waits, was decided, or stands in a file."""
        known = (*self._queue.templates(), *(one.template for one in self._table.decisions), *self._table.of_files)
        found = next((one for one in known if template_id(one) == id), None)
        if found is None:
            raise NotFound(f"there is no template {id!r}", suggestion="look at the list again")
        return found

    # The question.

    async def _answer(self, message: Message) -> bytes:
        try:
            query = decode(message.data, TemplatesQuery)
        except Malformed as error:
            return encode(QueryRefusal(cause=malformed("a question for templates", error, "mirror")))
        entries = self._queue.most_lines(query.most)
        aliases = self._aliases()
        waiting = await asyncio.to_thread(lambda: [self._shown(one, aliases) for one in entries])
        for one, approval in waiting:
            self._proposed[one.mark] = approval
            self._proposed.move_to_end(one.mark)
        while len(self._proposed) > _MARKS:
            self._proposed.popitem(last=False)
        decided = sorted(self._table.decisions, key=lambda one: -one.approval.changed_ns)[:_MOST_DECIDED]
        left = [
            DecidedTemplate(id=template_id(one.template), decision=one, stands=self._stands(one)) for one in decided
        ]
        answer = TemplatesAnswer(
            state=self.state(), waiting=tuple(one for one, _ in waiting), decided=tuple(left), others=self._queue.others
        )
        while len(data := encode(answer)) > _MOST_BYTES:
            answer = structs.replace(
                answer, waiting=answer.waiting[: len(answer.waiting) // 2], decided=answer.decided[:100]
            )
        return data

    def _shown(self, entry: QueueEntry, aliases: Pseudonyms) -> tuple[QueuedTemplate, Approval]:
        seen = entry.seen
        proposed = proposal(seen, self._check)
        read = read_line(seen.example)
        pieces = read.pieces if read else ()
        forbidden = self._check.find(" ".join(words(seen.template))) is not None
        told = QueuedTemplate(
            id=template_id(seen.template),
            template=seen.template,
            mark=hashlib.sha256(msgspec.json.encode(proposed)).hexdigest()[:16],
            lines=seen.lines,
            logs=len(seen.logs),
            first_ns=entry.first_ns,
            last_ns=entry.last_ns,
            example=tuple((one.kind, one.text) for one in pieces),
            slots=tuple(
                QueuedSlot(
                    kind=slot.kind,
                    is_risky=slot.kind not in PLAIN,
                    proposed=rule,
                    distinct=len(slot.values),
                    values=tuple(text[:_LETTERS] for text, _ in slot.values.most_common(_VALUES)),
                )
                for slot, rule in zip(seen.slots, proposed.slots, strict=True)
            ),
            shown_as=render(read, proposed, aliases).text if read else "",
            why_not=why_not(seen, self._check),
            is_forbidden=forbidden,
        )
        return told, proposed

    def _stands(self, one: TemplateDecision) -> str:
        if one.expires_ns and one.expires_ns <= self._clock.now_ns():
            return "expired"
        if one.waits:
            return "to_confirm"
        return "refused" if one.approval.refused else "approved"


def _masked(slots: Sequence[SlotRule], mask: str) -> tuple[SlotRule, ...]:
    """The slots with some of them masked: `1,3`, or `all`. OutOfRange for one that is not there."""
    if mask.strip() == "all":
        return tuple(SlotRule() for _ in slots)
    wanted: set[int] = set()
    for text in filter(None, (one.strip() for one in mask.split(","))):
        if not (text.isascii() and text.isdigit() and 1 <= int(text[:4]) <= len(slots)):
            raise OutOfRange(
                f"there is no slot {text[:20]!r}",
                code="wrong_argument",
                suggestion=f"give numbers from 1 to {len(slots)}, or all",
            )
        wanted.add(int(text[:4]))
    return tuple(SlotRule() if number in wanted else one for number, one in enumerate(slots, 1))
