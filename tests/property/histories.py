"""A history is made of its seed alone: commands, deaths, delays, duplicates, reordering, refusals and restarts."""

from __future__ import annotations

import random

import msgspec

from countingroom.core.errors import Cause
from countingroom.core.partitions import Member
from countingroom.core.systems import ACTIVE, CONFIGURING, ERROR, RECORDING, UNCONFIGURED, Action
from countingroom.runs.planner.events import (
    Effect,
    Fact,
    GoalFailed,
    GoalMet,
    GoalSet,
    HookOver,
    LinkChanged,
    LockSet,
    MembersSet,
    OrderRefused,
    PartitionMoved,
    Reported,
    RunBegan,
    RunHook,
    RunOver,
    SendOrder,
)
from countingroom.runs.planner.partition import PartitionModel
from countingroom.runs.planner.template import DETECTORS, Hook, Level, RecoveryPolicy, Template
from tests.unit.plant import CBM, Plant, configuration, members

OTHER = Template(
    name="tracker",
    levels=(
        Level(name="Power", members=("psu",), loss="power_lost", expendable=("psu",)),
        Level(name="Modules", members=(DETECTORS,), loss="modules_lost", expendable=(DETECTORS,), minimum=1),
        Level(name="Readout", members=("daq", "monitor"), loss="readout_lost", expendable=("monitor",)),
    ),
    recorders=("daq", "monitor"),
    stop_order=("monitor", "daq"),
)
EVERY = msgspec.structs.replace(OTHER, name="every", recorders=("all", "daq"), stop_order=("daq", "all"))


class History(Plant):
    """A plant to which everything happens that can, watched at every step."""

    def __init__(self, seed: int) -> None:
        self.watched = self.healed = False
        self._commands = 0
        chance = random.Random(seed)
        recovery = RecoveryPolicy(
            attempts=chance.choice((1, 1, 2, 3)),
            exclude_expendable=chance.random() < 0.3,
            fall_back=chance.random() < 0.3,
            resume=chance.random() < 0.25,
        )
        template = msgspec.structs.replace(
            chance.choice((CBM, CBM, OTHER, EVERY)), recovery=recovery, hooks=_hooks(chance)
        )
        detectors = [f"d{number}" for number in range(chance.randrange(5))]
        who = [
            msgspec.structs.replace(
                member,
                critical=member.critical and chance.random() < 0.85,
                base=chance.choice(("", "below")),
            )
            for member in members(template, detectors)
        ]
        super().__init__(template, who, chance=chance, jitter_s=chance.choice((0.0, 0.5, 5.0)))
        self.asked: dict[str, int] = {}
        self.given: set[int] = set()
        self.began: set[int] = set()
        self.over: set[int] = set()
        self.watched = True
        for system in self.systems.values():
            system.names_orders = chance.random() < 0.8

    # Watching.

    def step(self, *facts: Fact) -> tuple[Effect, ...]:
        facts = tuple(self._disturbed(facts)) if self.watched else facts
        before = self.partition
        for fact in facts:
            if isinstance(fact, GoalSet) and fact.goal:
                self.asked[fact.goal.command_id] = 0
        effects = super().step(*facts)
        if self.watched:
            self._watch(before, facts, effects)
        for effect in effects:
            if isinstance(effect, RunHook) and (self.healed or self.chance.random() < 0.9):
                fails = not self.healed and self.chance.random() < 0.2
                cause = Cause(code="exit", message="it failed") if fails else None
                self.later(
                    0.1 if self.healed else self.chance.random() * 5, HookOver(hook=effect.hook.name, cause=cause)
                )
        return effects

    def _disturbed(self, facts: tuple[Fact, ...]) -> list[Fact]:
        """Reports come twice, late or in another order; what is asked is not touched."""
        found: list[Fact] = []
        for fact in facts:
            if isinstance(fact, Reported) and self.chance.random() < 0.1:
                self.later(self.chance.random() * 3, fact)
                if self.chance.random() < 0.7:
                    # Told again later as it is then, as the state on the bus is: what is true is learnt in the end.
                    self.later(3.5, Reported(state=self.systems[fact.state.system].report()))
                    continue
            found.append(fact)
            if self.chance.random() < 0.05:
                found.append(fact)
        if self.chance.random() < 0.1:
            reports = [fact for fact in found if isinstance(fact, Reported)]
            self.chance.shuffle(reports)
            return [fact for fact in found if not isinstance(fact, Reported)] + reports
        return found

    def _watch(self, before: PartitionModel, facts: tuple[Fact, ...], effects: tuple[Effect, ...]) -> None:
        after = self.partition
        heard = {fact.state.system for fact in facts if isinstance(fact, Reported)}
        heard |= {fact.system for fact in facts if isinstance(fact, OrderRefused | LinkChanged)}
        chart = after.template.chart()
        legal = {(row.state, row.event, row.next) for row in chart.rows}
        at = before.state
        known = {member.system for member in after.members}
        sent: set[str] = set()
        for effect in effects:
            match effect:
                case PartitionMoved(rows=rows):
                    for row in rows:
                        assert row in legal
                        assert row[0] == at, "rows do not hang together"
                        at = row[2]
                    assert rows or after.state != before.state
                    at = rows[-1][2] if rows else after.state
                case SendOrder(step=each, id=order):
                    assert each.system in known
                    assert order not in sent
                    sent.add(order)
                    pending = before.attempts.pending.get(each.system)
                    again = pending and pending.action is each.action and pending.deadline_ns > self.now_ns
                    assert not again or each.system in heard, "ordered twice while pending"
                    assert each.reason
                    assert each.action is not Action.START or after.goal is not None
                    assert each.action is not Action.CONFIGURE or effect.configuration is not None
                    if each.action is Action.RECONFIGURE:
                        assert effect.base
                        assert after.goal is not None and after.goal.in_place
                        assert after.goal.reconfigure or not after.began, "a run was changed without being asked"
                case GoalMet(goal=goal) | GoalFailed(goal=goal):
                    for command in filter(None, (goal.command_id, *goal.joined)):
                        self.asked[command] += 1
                        assert self.asked[command] == 1, "a goal ended twice"
                    if isinstance(effect, GoalFailed):
                        assert effect.cause.message
                        assert effect.cause.suggestion
                case RunBegan(run=run):
                    assert run in self.given
                    assert run not in self.began | self.over
                    self.began.add(run)
                case RunOver(run=run):
                    assert run in self.given
                    assert run not in self.over, "a run ended twice"
                    self.over.add(run)
                case _:
                    pass
        assert at == after.state
        assert after.run not in self.over
        for pending in after.attempts.pending.values():
            assert pending.deadline_ns > self.now_ns
        assert after.joining <= known

    # What happens to it.

    def happen(self) -> None:
        """One thing, whatever it is."""
        chance = self.chance
        name = chance.choice(list(self.systems))
        system = self.systems[name]
        match chance.randrange(18):
            case 0 | 1 | 2 | 3:
                self.command()
            case 4:
                self.step(self.die(name))
            case 5 | 6:
                if not system.alive:
                    self.step(*self.revive(name))
            case 7:
                if system.alive:
                    system.work += 1
                    moved = self.become(name, chance.choice((UNCONFIGURED, CONFIGURING, ACTIVE, RECORDING, ERROR)))
                    self.step(*([] if system.silent else [moved]))
            case 8:
                system.takes_s = chance.choice((0.0, 0.1, 1.0, 25.0, 35.0, 1e9))
            case 9:
                system.ends_in = {chance.choice(list(Action)): chance.choice((ERROR, UNCONFIGURED, ACTIVE, ""))}
            case 10:
                system.refuses ^= {chance.choice(list(Action))}
            case 11:
                system.wrong_tag = not system.wrong_tag
            case 12:
                self.step(LockSet(locked=chance.random() < 0.5))
            case 13:
                self.step(MembersSet(members=self.changed_members(), tag="other"))
            case 14:
                self.partition = self.restart()
                facts = [fact for one in self.systems.values() for fact in self.known(one.name)]
                self.step(*facts)
            case 15:
                names = chance.choice(([name], list(self.systems)))
                self.step(*self.silence(*names))
            case 16:
                self.step(*self.hear(*(one.name for one in self.systems.values() if one.alive)))
            case _:
                cause = Cause(code="late", message="no answer")
                self.step(OrderRefused(system=name, action=chance.choice(list(Action)), cause=cause))

    def known(self, name: str) -> list[Fact]:
        system = self.systems[name]
        if not system.alive:
            return [self.die(name)]
        return self.silence(name) if system.silent else self.heard(system)

    def command(self) -> None:
        chance, rests = self.chance, self.partition.template.rests
        if chance.random() < 0.15 and self.partition.state in rests:
            self._commands += 1
            self.ask(self.partition.state, reconfigure=True, command_id=f"c{self._commands}")
            return
        state = chance.choice((*rests, rests[-1], rests[-1], rests[-2]))
        if state == rests[-1] and not self.partition.run:
            self.given.add(self._runs + 1)
        self._commands += 1
        half = chance.random() < 0.5
        self.ask(
            state, at_once=half and state == rests[0], stop=half and state == rests[-2], command_id=f"c{self._commands}"
        )

    def changed_members(self) -> tuple[Member, ...]:
        return tuple(
            msgspec.structs.replace(
                member,
                included=member.included if self.chance.random() < 0.8 else not member.included,
                wanted=configuration(member.system, self.chance.choice(("physics", "physics", "other")))
                if not self.partition.began or member.base
                else member.wanted,
                base=member.base and self.chance.choice(("below", "below", "other")),
            )
            for member in self.partition.members
        )

    def heal(self) -> None:
        """From now on everybody obeys, and everybody is there."""
        self.jitter_s = 0.0
        self.healed = True
        facts: list[Fact] = []
        for system in self.systems.values():
            system.takes_s, system.ends_in, system.refuses, system.wrong_tag = 0.1, {}, set(), False
            if not system.alive:
                facts += self.revive(system.name)
            elif system.silent:
                facts += self.hear(system.name)
        self.step(*facts)


def _hooks(chance: random.Random) -> tuple[Hook, ...]:
    moments = ("before start", "after start", "before stop", "after stop")
    return tuple(
        Hook(
            name=f"h{number}",
            command=("true",),
            trigger=(trigger := chance.choice(moments)),
            awaited=chance.choice((trigger, chance.choice(moments))),
            deadline_s=4.0,
            critical=chance.random() < 0.5,
        )
        for number in range(chance.choice((0, 0, 0, 1, 2)))
    )


def live(seed: int) -> History:
    """One history from its beginning to its rest, and what must be so then."""
    history = History(seed)
    for _ in range(history.chance.randrange(5, 25)):
        history.happen()
        history.run(history.chance.choice((0.0, 0.05, 0.5, 5.0, 40.0)))
    history.run()
    at_rest(history)
    history.heal()
    history.run()
    mended = tuple(
        msgspec.structs.replace(member, included=True, wanted=configuration(member.system))
        for member in history.partition.members
    )
    history.step(MembersSet(members=mended, tag="physics"))
    history.run()
    at_rest(history)
    recorded = {system.run for system in history.systems.values() if system.common == RECORDING}
    told = history.partition.cause is not None  # who did not stop when asked twice is left to a person
    assert recorded <= {0, history.partition.run} or told, "a run that is over is recorded"
    reach(history, history.partition.template.idle)
    if any(member.kind == "detector" for member in history.partition.members):
        reach(history, history.partition.template.top)
        untouched(history)
        reach(history, history.partition.template.recording)
        untouched(history)
    return history


def untouched(history: History) -> None:
    """A new owner who looked round finds the same state, and orders nothing."""
    before, orders = history.partition, len(history.orders)
    history.partition = history.restart()
    history.effects.clear()
    history.step(*(fact for name in history.systems for fact in history.known(name)))
    assert len(history.orders) == orders
    assert not history.runs()
    assert (history.partition.state, history.partition.run) == (before.state, before.run)
    assert not history.rows


def reach(history: History, state: str) -> None:
    """Where everybody obeys, what is asked for is reached."""
    history.watched = False
    history.effects.clear()
    history.ask(state, command_id="last")
    history.run()
    (end,) = history.ends()
    assert isinstance(end, GoalMet), end
    rests = history.partition.template.rests
    assert rests.index(history.partition.state) >= rests.index(state)


def at_rest(history: History) -> None:
    """Nothing is going on any more: every goal has ended, nobody waits, and no run is open that nobody records."""
    partition = history.partition
    assert not partition.attempts.pending
    assert not partition.steps
    assert partition.goal is None or partition.attempts.met
    unended = [command for command, ends in history.asked.items() if not ends]
    assert not unended, f"goals never ended: {unended}"
    assert history.given - history.over <= {partition.run}, "a run was lost"
    records = any(seen.common == RECORDING for seen in partition.seen.values())
    assert not partition.run or records, "a run is open that nobody records"
