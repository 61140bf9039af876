"""Systems in virtual time that do what they are told, late, badly or not at all, for tests of the pure heart."""

from __future__ import annotations

import heapq
import random
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

import msgspec

from countingroom.core.errors import Cause
from countingroom.core.partitions import Configuration, Goal, Member
from countingroom.core.systems import (
    ACTIVE,
    CONFIGURING,
    ERROR,
    RECORDING,
    UNCONFIGURED,
    Action,
    SystemKind,
    SystemState,
)
from countingroom.runs.description import shipped
from countingroom.runs.planner.events import (
    Effect,
    Fact,
    GoalFailed,
    GoalMet,
    GoalSet,
    LinkChanged,
    OrderRefused,
    PartitionMoved,
    Reported,
    RunBegan,
    RunOver,
    SendOrder,
)
from countingroom.runs.planner.partition import PartitionModel
from countingroom.runs.planner.recorders import with_recorders
from countingroom.runs.planner.step import step, wake_ns
from countingroom.runs.planner.template import DETECTORS, Template

SECOND = 1_000_000_000
CBM = shipped("cbm").template("cbm")
REFUSED = Cause(code="busy", message="it is busy")
NOT_CHANGED = Cause(code="program_failed", message="the threshold is out of range")
GONE = Cause(code="agent_gone", message="its agent is gone")


def configuration(system: str, tag: str = "physics") -> Configuration:
    return Configuration(tag=tag, key=f"{system}/{tag}")


def members(
    template: Template = CBM,
    detectors: Sequence[str] = ("sts", "rich"),
    tag: str = "physics",
    in_place: Collection[str] = (),
) -> tuple[Member, ...]:
    """All of a template, critical unless the template says otherwise, each with a configuration. `in_place`: those that
    can be reconfigured in place."""
    found: list[Member] = []
    for level in template.levels:
        for name in level.members:
            detector = name == DETECTORS
            found += [
                Member(
                    system=system,
                    kind=SystemKind.DETECTOR if detector else SystemKind.GLOBAL,
                    level=level.name,
                    critical=name not in level.expendable and system not in level.expendable,
                    wanted=configuration(system, tag),
                    base="below" if system in in_place else "",
                )
                for system in (detectors if detector else (name,))
            ]
    return tuple(found)


@dataclass
class System:
    """A system with its agent: what it is, and how it behaves."""

    name: str
    common: str = UNCONFIGURED
    tag: str = ""
    key: str = ""
    base: str = ""
    run: int = 0
    order: str = ""
    cause: Cause | None = None
    sequence: int = 0
    boot: str = "first"
    since_ns: int = 0
    alive: bool = True
    silent: bool = False
    """Nothing reaches it and nothing comes from it; it goes on with what it does."""
    takes_s: float = 0.1
    ends_in: dict[Action, str] = field(default_factory=dict)
    """Action -> the state it ends in instead; empty: it never ends. A change in place ends badly in any state."""
    refuses: set[Action] = field(default_factory=set)
    wrong_tag: bool = False
    names_orders: bool = True
    changes: Configuration | None = None
    """What it is being reconfigured to in place."""
    work: int = 0
    """Grows with every order: what an earlier one would still do is dropped."""

    def report(self) -> SystemState:
        self.sequence += 1
        return SystemState(
            system=self.name,
            state=self.common,
            common=self.common,
            tag=self.tag,
            key=self.key,
            base=self.base,
            cause=self.cause,
            run=self.run if self.common == RECORDING else 0,
            order=self.order if self.names_orders else "",
            sequence=self.sequence,
            boot=self.boot,
            since_ns=self.since_ns,
        )


GOOD_END = {
    Action.CONFIGURE: ACTIVE,
    Action.RECONFIGURE: "changed",
    Action.START: RECORDING,
    Action.STOP: ACTIVE,
    Action.ABORT: UNCONFIGURED,
    Action.RESET: UNCONFIGURED,
}


class Plant:
    """A partition and its systems. Time passes only here."""

    def __init__(
        self,
        template: Template = CBM,
        who: Iterable[Member] | None = None,
        *,
        chance: random.Random | None = None,
        jitter_s: float = 0.0,
    ) -> None:
        self.now_ns = 1_000 * SECOND
        self.chance = chance or random.Random(0)
        self.jitter_s = jitter_s
        found = tuple(who) if who is not None else members(template)
        template = with_recorders(template, found)
        self.partition = PartitionModel(
            name="beam", template=template, members=found, state=template.idle, since_ns=self.now_ns, tag="physics"
        )
        self.systems = {member.system: System(member.system) for member in found}
        self.effects: list[Effect] = []
        self.orders: list[SendOrder] = []
        self._queue: list[tuple[int, int, Fact | tuple[str, int, str]]] = []
        self._count = 0
        self._runs = 0
        facts = [fact for system in self.systems.values() for fact in self.heard(system)]
        self.step(*facts)

    def heard(self, system: System) -> list[Fact]:
        return [LinkChanged(system=system.name, connected=True), Reported(state=system.report())]

    # Time.

    def step(self, *facts: Fact) -> tuple[Effect, ...]:
        """One step now; what it orders begins to be done."""
        self.partition, effects = step(self.partition, facts, now_ns=self.now_ns)
        self.effects += effects
        for effect in effects:
            if isinstance(effect, SendOrder):
                self.orders.append(effect)
                self._carry_out(effect)
        return effects

    def later(self, seconds: float, what: Fact | tuple[str, int, str]) -> None:
        self._count += 1
        delay = seconds + self.chance.random() * self.jitter_s
        heapq.heappush(self._queue, (self.now_ns + round(delay * SECOND), self._count, what))

    def run(self, seconds: float = 10_000.0) -> None:
        """Let things happen for so long, or until nothing more would."""
        end = self.now_ns + round(seconds * SECOND)
        for _ in range(100_000):
            wake = wake_ns(self.partition)
            assert wake is None or wake > self.now_ns, "it wants to be woken in the past: a busy loop"
            queued = self._queue[0][0] if self._queue else None
            due = min((at for at in (wake, queued) if at is not None), default=None)
            if due is None or due > end:
                self.now_ns = self.now_ns if due is None else end
                break
            self.now_ns = due
            facts: list[Fact] = []
            while self._queue and self._queue[0][0] <= self.now_ns:
                facts += self._happens(heapq.heappop(self._queue)[2])
            self.step(*facts)
        else:
            raise AssertionError("it never comes to rest")

    def _happens(self, what: Fact | tuple[str, int, str]) -> list[Fact]:
        if not isinstance(what, tuple):
            return [what]
        name, work, common = what
        system = self.systems[name]
        if system.work != work or not system.alive:
            return []
        moved = self._changed(system, common) if system.changes else self.become(name, common)
        return [] if system.silent else [moved]

    # What systems do.

    def _carry_out(self, effect: SendOrder) -> None:
        each, system = effect.step, self.systems[effect.step.system]
        if not system.alive or system.silent:
            return
        if each.action in system.refuses:
            refusal = OrderRefused(system=system.name, action=each.action, cause=REFUSED, id=effect.id)
            self.later(0.01, refusal)
            return
        system.work += 1
        system.order = effect.id
        system.changes = effect.configuration if each.action is Action.RECONFIGURE else None
        if each.action is Action.RECONFIGURE:
            wanted = effect.configuration
            assert wanted is not None
            if system.common not in (ACTIVE, RECORDING) or system.base != effect.base:
                self.later(0.01, OrderRefused(system=system.name, action=each.action, cause=REFUSED, id=effect.id))
                return
            system.cause = None
        if each.action is Action.CONFIGURE:
            wanted = effect.configuration
            assert wanted is not None
            if system.common == ACTIVE and system.key == wanted.key:
                self.later(0.0, Reported(state=system.report()))
                return
            system.tag, system.key = ("other", "other") if system.wrong_tag else (wanted.tag, wanted.key)
            system.base, system.cause = effect.base, None
            self.later(0.001, self.become(system.name, CONFIGURING))
        if each.action is Action.START:
            system.run = effect.run
        end = system.ends_in.get(each.action, GOOD_END[each.action])
        if end:
            self.later(system.takes_s, (system.name, system.work, end))

    def become(self, name: str, common: str) -> Fact:
        """The system's own move, as it will be told."""
        system = self.systems[name]
        system.common = common
        system.since_ns = self.now_ns
        system.changes = None
        if common in (UNCONFIGURED, ERROR):
            system.tag = system.key = system.base = ""
            system.cause = None
        return Reported(state=system.report())

    def _changed(self, system: System, end: str) -> Fact:
        """What its agent tells at the end of a change in place."""
        wanted, system.changes = system.changes, None
        if end == "changed" and wanted:
            system.tag, system.key = wanted.tag, wanted.key
        else:
            system.cause = NOT_CHANGED
        return Reported(state=system.report())

    def die(self, name: str) -> Fact:
        self.systems[name].alive = False
        self.systems[name].work += 1
        return LinkChanged(system=name, connected=False, cause=GONE)

    def silence(self, *names: str) -> list[Fact]:
        """These, or all, are not heard; they go on as before."""
        for name in names or self.systems:
            self.systems[name].silent = True
        return [LinkChanged(system=name, connected=False, cause=GONE) for name in names or self.systems]

    def hear(self, *names: str) -> list[Fact]:
        """These, or all, are heard again, as they are."""
        for name in names or self.systems:
            self.systems[name].silent = False
        return [fact for name in names or self.systems for fact in self.heard(self.systems[name])]

    def revive(self, name: str) -> list[Fact]:
        """Its agent begins anew, and knows nothing."""
        system = self.systems[name]
        system.alive, system.silent, system.boot, system.sequence = True, False, system.boot + "'", 0
        system.common, system.order, system.since_ns = UNCONFIGURED, "", self.now_ns
        system.tag = system.key = system.base = ""
        system.changes = system.cause = None
        return self.heard(system)

    # What is asked and found.

    def ask(
        self,
        state: str,
        *,
        at_once: bool = False,
        stop: bool = False,
        reconfigure: bool = False,
        command_id: str = "",
    ) -> None:
        """Ask for a state; a run number is given out for recording."""
        goal = Goal(
            state=state,
            requested_by="tester",
            command_id=command_id,
            at_once=at_once,
            stop=stop,
            reconfigure=reconfigure,
        )
        run = 0
        if state == self.partition.template.recording and not self.partition.run and not reconfigure:
            self._runs += 1
            run = self._runs
        self.step(GoalSet(goal=goal, run=run))

    def reach(self, state: str) -> Plant:
        """Bring it there; everything obeys."""
        self.ask(state)
        self.run(60)
        assert self.partition.state == state, self.partition.cause
        self.effects.clear()
        self.orders.clear()
        return self

    def restart(self) -> PartitionModel:
        """What a new owner has who looked round: what is kept outside, and every system's state."""
        old = self.partition
        fresh = PartitionModel(
            name=old.name,
            template=old.template,
            members=old.members,
            goal=old.goal,
            state=old.state,
            since_ns=old.since_ns,
            tag=old.tag,
            run=old.run,
            began=old.began,
            joining=old.joining,
            locked=old.locked,
            look_until_ns=self.now_ns + SECOND,
        )
        return msgspec.structs.replace(fresh, seen={})

    @property
    def told(self) -> list[tuple[str, str]]:
        return [(order.step.system, order.step.action.value) for order in self.orders]

    @property
    def rows(self) -> list[tuple[str, str, str]]:
        return [row for effect in self.effects if isinstance(effect, PartitionMoved) for row in effect.rows]

    def ends(self) -> list[GoalMet | GoalFailed]:
        return [effect for effect in self.effects if isinstance(effect, GoalMet | GoalFailed)]

    def runs(self) -> list[RunBegan | RunOver]:
        return [effect for effect in self.effects if isinstance(effect, RunBegan | RunOver)]
