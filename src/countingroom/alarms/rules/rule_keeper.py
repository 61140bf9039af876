"""Saves the outcomes of rules in the database, then publishes them, then runs the actions of firings.

A firing is saved before its first action is sent, and the progress before each further action. So an engine that takes
over knows which actions may have been carried out: it reports them and does not repeat them. While the database is away
no rule acts.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Protocol

from msgspec import structs

from countingroom.alarms.rules.described_rules import actions_of
from countingroom.alarms.rules.evaluation import RuleEvaluation, RuleOutcome
from countingroom.alarms.rules.rule_records import event_of_end, event_of_log, event_of_outcome, interrupted
from countingroom.alarms.rules.rule_runner import Ended
from countingroom.alarms.rules.shown_rules import broken, shown
from countingroom.alarms.saving import save_within
from countingroom.alarms.sections.rules import RuleSection
from countingroom.bus.publisher import Publisher
from countingroom.core import subjects
from countingroom.core.admission import NOTHING_TO_DO
from countingroom.core.clock import Clock, within
from countingroom.core.errors import Cause, CountingRoomError, LinkError, NotFound, Refused
from countingroom.core.retry import edge_log
from countingroom.core.rules.actions import Action, LogAction, words
from countingroom.core.rules.states import OPEN, ActionOutcome, ActionResult, Firing, SavedRule
from countingroom.core.rules.step import RuleEffectKind

_log = logging.getLogger(__name__)

SAVE_S = 2.0
"""The longest wait for one save in the database."""
AGAIN_S = 1.0
"""The pause between two attempts to save after a failure."""
TOLD_S = 60.0
"""The shortest time between two events which say that `unless` stopped a rule."""

Run = Callable[[str, int, int, Action], Awaitable[Ended]]
"""Runs one action and waits for its end. Arguments: rule, number of the firing, place of the action, action."""


class RuleStore(Protocol):
    """What the engine needs from the database; implemented by `storage/rules.py`."""

    def load(self) -> Awaitable[Mapping[str, SavedRule]]: ...
    def save(self, writer: int, changed: Mapping[str, SavedRule]) -> Awaitable[None]: ...


class RuleKeeper:
    """Saves and publishes all rules; no other object does. `run` works until it is cancelled."""

    def __init__(
        self,
        rules: Mapping[str, RuleSection],
        evaluation: RuleEvaluation,
        saved: Mapping[str, SavedRule],
        store: RuleStore,
        writer: int,
        publisher: Publisher,
        clock: Clock,
        run: Run,
    ) -> None:
        """`saved`: the rules as an earlier engine saved them. `writer`: the number of this engine, from
        `Alarms.take_over`."""
        self._rules = rules
        self._evaluation = evaluation
        self._store = store
        self._writer = writer
        self._publisher = publisher
        self._clock = clock
        self._run_action = run
        self._last: dict[str, Firing] = {name: one.last for name, one in saved.items() if one.last is not None}
        self._under_way: dict[str, Firing] = {}
        self._outcomes: list[RuleOutcome] = list(evaluation.started)
        self._begun: list[tuple[str, Firing]] = []
        """Firings that are saved and whose actions have not begun."""
        self._dirty: set[str] = set()
        self._told_s: dict[str, float] = {}
        self._news = asyncio.Event()
        self._turn = asyncio.Lock()
        self._next_save_s = float("-inf")
        self._saving = edge_log(
            _log, "rules: the database does not take their states", "rules: the database takes their states again"
        )
        for name, one in saved.items():
            if one.under_way is not None and name in rules:
                self._tell_interrupted(name, one.under_way)
        for name, problem in evaluation.broken.items():
            publisher.state(subjects.rule_key(name), broken(name, rules[name], evaluation, problem))
        self._news.set()

    def troubles(self) -> list[str]:
        """Why the department is not ready, one sentence each."""
        return ["the database does not take the states of rules: no rule acts"] if self._saving.is_failing else []

    def is_armed(self, name: str) -> bool:
        """Whether a rule is armed."""
        memory = self._evaluation.memories.get(name)
        return memory is not None and memory.armed

    def arming_role(self, name: str) -> str:
        """The lowest role that may arm and disarm a rule. NotFound if there is no such rule."""
        if name not in self._evaluation.specs:
            raise NotFound(f"there is no rule {name!r}", source="alarms", suggestion="countingroom rules list")
        return self._rules[name].arming

    def take(self, outcomes: Iterable[RuleOutcome] = ()) -> None:
        """Queue outcomes; `run` handles them in this order."""
        self._outcomes.extend(outcomes)
        if self._outcomes or self._evaluation.changed:
            self._news.set()

    async def run(self) -> None:
        """Until cancelled, or until another process has taken over (Conflict)."""
        async with asyncio.TaskGroup() as group:
            while True:
                await self._wait()
                async with self._turn:
                    await self._carry()
                # Outside the lock: actions may take minutes, and `_act` takes the lock itself to save its progress.
                for name, firing in self._begun:
                    group.create_task(self._act(name, firing))
                self._begun = []

    async def arm(self, name: str, *, armed: bool, by: str, reason: str) -> None:
        """Arm or disarm a rule; the change is saved and published when this returns. Refused (`nothing_to_do`) if the
        rule is in that state already, NotFound if there is no such rule. LinkError if the database does not answer;
        the rule is then unchanged."""
        self.arming_role(name)
        async with self._turn:
            # Outcomes that came before the command are saved first; otherwise `restore` could undo them too.
            await self._carry()
            before = self._evaluation.memories[name]
            change = self._evaluation.arm if armed else self._evaluation.disarm
            outcomes = change(name, by, reason, self._clock.now_ns())
            if not outcomes:
                raise Refused(_already(name, armed=armed))
            try:
                await self._keep(outcomes)
            except CountingRoomError:
                self._evaluation.restore(name, before)
                raise
            self._news.set()

    async def _wait(self) -> None:
        """Wait until an outcome is queued or a failed save is due again."""
        wait_s = None
        if self._dirty:
            wait_s = self._next_save_s - self._clock.monotonic()
        if wait_s is None:
            await self._news.wait()
        elif wait_s > 0:
            try:
                async with within(self._clock, wait_s):
                    await self._news.wait()
            except TimeoutError:
                pass
        self._news.clear()

    async def _carry(self) -> None:
        """Save and publish the queued outcomes. A firing that cannot be saved gets its event, but its actions do not
        run."""
        outcomes, self._outcomes = self._outcomes, []
        try:
            await self._keep(outcomes)
        except LinkError as error:
            fired = [one for one in outcomes if one.effect.kind is RuleEffectKind.FIRED]
            self._tell(outcomes)
            for one in fired:
                self._end(one.rule, _not_done(self._firing(one), error.cause, one.now_ns))
            self._publish({one.rule for one in fired})

    async def _keep(self, outcomes: Sequence[RuleOutcome]) -> None:
        """Save, then publish. LinkError if the database does not answer; then this publishes nothing."""
        begun: dict[str, Firing] = {}
        busy: list[tuple[str, Firing]] = []
        for one in outcomes:
            if one.effect.kind is not RuleEffectKind.FIRED:
                continue
            # A rule can fire twice in one turn. The second firing must not replace the first one, whose end would
            # then never be recorded.
            if one.rule in self._under_way or one.rule in begun:
                busy.append((one.rule, self._firing(one)))
            else:
                begun[one.rule] = self._firing(one)
        firings = begun.keys() | {name for name, _ in busy}
        self._dirty |= self._evaluation.to_save | firings
        self._evaluation.to_save.clear()
        if self._dirty and (firings or outcomes or self._clock.monotonic() >= self._next_save_s):
            await self._save(self._dirty, begun)
        self._under_way |= begun
        self._begun += begun.items()
        self._tell(outcomes)
        for name, firing in busy:
            self._end(name, _not_done(firing, _busy(), firing.time_ns))
        self._publish(firings | {one.rule for one in outcomes})

    async def _save(self, names: Iterable[str], begun: Mapping[str, Firing]) -> None:
        self._next_save_s = self._clock.monotonic() + AGAIN_S
        saved = {
            name: SavedRule(
                memory=self._evaluation.memories[name],
                last=self._last.get(name),
                under_way=begun.get(name) or self._under_way.get(name),
            )
            for name in names
        }
        await save_within(self._clock, SAVE_S, self._saving, self._store.save(self._writer, saved))
        self._dirty.difference_update(saved)

    def _firing(self, outcome: RuleOutcome) -> Firing:
        actions = actions_of(self._rules[outcome.rule]).actions
        return Firing(
            number=outcome.effect.number,
            time_ns=outcome.now_ns,
            since_ns=outcome.effect.time_ns,
            evidence=dict(outcome.evidence),
            outcomes=tuple(
                ActionOutcome(action=words(action), result=ActionResult.WAITING if place else ActionResult.UNDER_WAY)
                for place, action in enumerate(actions)
            ),
        )

    async def _act(self, name: str, firing: Firing) -> None:
        """Run the actions of a firing in order, and record its end."""
        described = actions_of(self._rules[name])
        for place, action in enumerate(described.actions):
            if place:
                firing = _with(firing, place, ActionOutcome(action=words(action), result=ActionResult.UNDER_WAY))
                cause = await self._progress(name, firing)
            else:
                cause = self._disarmed(name)
            if cause is not None:
                firing = _not_done(firing, cause, self._clock.now_ns())
                break
            if isinstance(action, LogAction):
                self._publisher.event(event_of_log(name, firing, place, action.text, self._clock.now_ns()))
            result, cause = await self._run_action(name, firing.number, place, action)
            ended = ActionOutcome(action=words(action), result=result, cause=cause, ended_ns=self._clock.now_ns())
            firing = _with(firing, place, ended)
            if result is not ActionResult.DONE and not described.goes_on:
                break
        async with self._turn:
            now_ns = self._clock.now_ns()
            outcomes = tuple(
                structs.replace(one, result=ActionResult.NOT_BEGUN) if one.result in OPEN else one
                for one in firing.outcomes
            )
            del self._under_way[name]
            self._end(name, structs.replace(firing, outcomes=outcomes, ended_ns=now_ns))
            self._publish({name})
            self._news.set()

    async def _progress(self, name: str, firing: Firing) -> Cause | None:
        """Save that the next action of a firing begins. Returns why that action must not begin; None if it may."""
        async with self._turn:
            if cause := self._disarmed(name):
                return cause
            self._under_way[name] = firing
            try:
                await self._save({name}, {})
            except LinkError as error:
                return error.cause
            self._publish({name})
            return None

    def _disarmed(self, name: str) -> Cause | None:
        """The cause that stops further actions after a person disarmed the rule; None while the rule is armed."""
        if self.is_armed(name):
            return None
        return Cause(
            code="disarmed",
            message=f"the rule {name} was disarmed while it acted",
            source="alarms.rules",
            suggestion="do by hand what is left of its actions where it is wanted",
        )

    def _end(self, name: str, firing: Firing) -> None:
        """Record the end of a firing: its event, and a save as soon as possible."""
        # A firing that was refused as busy can end before an older one that still runs.
        if (last := self._last.get(name)) is None or last.number <= firing.number:
            self._last[name] = firing
        self._dirty.add(name)
        self._next_save_s = min(self._next_save_s, self._clock.monotonic())
        self._publisher.event(event_of_end(name, self._rules[name], firing))

    def _tell_interrupted(self, name: str, firing: Firing) -> None:
        self._end(name, interrupted(firing, self._clock.now_ns()))
        self._evaluation.changed.add(name)

    def _tell(self, outcomes: Iterable[RuleOutcome]) -> None:
        for one in outcomes:
            if self._is_told(one):
                memory = self._evaluation.memories[one.rule]
                self._publisher.event(event_of_outcome(one, self._rules[one.rule], memory))

    def _is_told(self, outcome: RuleOutcome) -> bool:
        """Whether an outcome gets an event. Outcomes that may repeat often get one only from time to time."""
        match outcome.effect.kind:
            case RuleEffectKind.HELD_BACK:
                return outcome.effect.number == 1
            case RuleEffectKind.PASSED_OVER:
                now_s = self._clock.monotonic()
                if now_s < self._told_s.get(outcome.rule, float("-inf")) + TOLD_S:
                    return False
                self._told_s[outcome.rule] = now_s
                return True
            case _:
                return True

    def _publish(self, names: Iterable[str]) -> None:
        changed = self._evaluation.changed.union(names)
        self._evaluation.changed.clear()
        for name in changed:
            state = shown(name, self._rules[name], self._evaluation, self._last.get(name), self._under_way.get(name))
            self._publisher.state(subjects.rule_key(name), state)


def _with(firing: Firing, place: int, outcome: ActionOutcome) -> Firing:
    outcomes = (*firing.outcomes[:place], outcome, *firing.outcomes[place + 1 :])
    return structs.replace(firing, outcomes=outcomes)


def _not_done(firing: Firing, cause: Cause, now_ns: int) -> Firing:
    """The firing with each open action marked as not begun, for this cause."""
    outcomes = tuple(
        structs.replace(one, result=ActionResult.NOT_BEGUN, cause=cause, ended_ns=now_ns) if one.result in OPEN else one
        for one in firing.outcomes
    )
    return structs.replace(firing, outcomes=outcomes, ended_ns=now_ns)


def _busy() -> Cause:
    return Cause(
        code="busy",
        message="the actions of its firing before are still under way",
        source="alarms.rules",
        suggestion="let it act less often: most",
    )


def _already(name: str, *, armed: bool) -> Cause:
    word = "armed" if armed else "disarmed"
    return Cause(
        code=NOTHING_TO_DO, message=f"the rule {name} is {word} already", source="alarms", suggestion="nothing"
    )
