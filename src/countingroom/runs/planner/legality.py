"""Legality of the commands of a partition: for each the reasons against it, in the order in which they are checked.

The first reason that holds is the Cause. Buttons, API and CLI show it, and the owner checks it again when a command
comes. The code `nothing_to_do` is no refusal: a command succeeds if its goal is reached already.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec
from msgspec import Struct

from countingroom.core.admission import NOTHING_TO_DO
from countingroom.core.errors import Cause
from countingroom.core.partitions import Member
from countingroom.core.systems import ACTIVE, ERROR, NO_CONNECTION, RECORDING, UNCONFIGURED
from countingroom.core.yaml.validation_errors import did_you_mean
from countingroom.runs.planner import causes
from countingroom.runs.planner.in_place import differs, is_enough, is_possible
from countingroom.runs.planner.partition import PartitionModel
from countingroom.runs.planner.survey import UNSEEN, Seen, Survey


class Question(Struct, frozen=True, kw_only=True):
    """The command that is asked for, and its target."""

    partition: PartitionModel
    found: Survey
    system: str = ""
    """Empty: any."""
    state: str = ""
    """The goal; empty: any."""
    while_recording: bool = True
    """Whether a change during a run is asked for; the refusals that a page shows assume it."""

    @property
    def member(self) -> Member | None:
        """The member that is named."""
        return next((m for m in self.partition.members if m.system == self.system), None)

    @property
    def busy(self) -> bool:
        """It is on its way to a goal."""
        return self.partition.goal is not None and not self.partition.attempts.met

    def refuse(self, code: str, message: str, suggestion: str) -> Cause:
        """A cause of this partition."""
        return Cause(code=code, message=message, source=f"runs.{self.partition.name}", suggestion=suggestion)


def refusals(partition: PartitionModel) -> dict[str, Cause | None]:
    """Every command: None where it may be given now, to some system or other, else why not."""
    found = partition.survey()
    question = Question(partition=partition, found=found)
    return {command: _answer(command, question) for command in REASONS}


def refusal(
    partition: PartitionModel, command: str, *, system: str = "", state: str = "", while_recording: bool = True
) -> Cause | None:
    """One command as it is given: `system` for those that name one, `state` for `goal`, `while_recording` for
    `reconfigure`."""
    found = partition.survey()
    question = Question(partition=partition, found=found, system=system, state=state, while_recording=while_recording)
    if command not in REASONS:
        return question.refuse("not_found", f"{command} is no command{did_you_mean(command, REASONS)}", "see its help")
    return _answer(command, question)


def next_state(partition: PartitionModel) -> str:
    """Where `configure` leads: one level up; where it is, when only members beside are missing."""
    template = partition.template
    reached = min(template.reached(partition.state), template.reached(partition.survey().configured))
    if reached >= len(template.levels):
        return partition.state
    return template.rests[int(reached) + 1]


Reason = Callable[[Question], Cause | None]


def _answer(command: str, question: Question) -> Cause | None:
    return next((cause for reason in REASONS[command] if (cause := reason(question))), None)


def _looking(q: Question) -> Cause | None:
    if not q.partition.look_until_ns:
        return None
    return q.refuse("looking", "its owner has just begun and looks round first", "try again in a second")


def _locked(q: Question) -> Cause | None:
    return q.refuse("locked", f"{q.partition.name} is locked", "unlock it first") if q.partition.locked else None


def _unexplained(q: Question) -> Cause | None:
    return q.partition.unexplained


def _interlocked(q: Question) -> Cause | None:
    cause = q.partition.forbidden
    return cause and msgspec.structs.replace(cause, source=f"runs.{q.partition.name}")


def _goal_interlocked(q: Question) -> Cause | None:
    """A goal that would start a run is refused as the start is."""
    starts = q.state == q.partition.template.recording and not q.partition.run
    return _interlocked(q) if starts else None


def _locked_already(q: Question) -> Cause | None:
    return q.refuse(NOTHING_TO_DO, f"{q.partition.name} is locked already", "nothing") if q.partition.locked else None


def _not_locked(q: Question) -> Cause | None:
    return None if q.partition.locked else q.refuse(NOTHING_TO_DO, f"{q.partition.name} is not locked", "nothing")


def _busy(q: Question) -> Cause | None:
    if not (q.busy and q.partition.goal):
        return None
    return q.refuse(
        "busy", f"{q.partition.name} is on its way to {q.partition.goal.state}", "wait until it is there, or abort"
    )


def _run_open(q: Question) -> Cause | None:
    if not (q.partition.run or q.found.any_records):
        return None
    which = f"run {q.partition.run} is open" if q.partition.run else f"{q.partition.name} records"
    return q.refuse("run_open", which, "stop it first")


def _nobody(q: Question) -> Cause | None:
    if any(view.members for view in q.found.levels):
        return None
    return q.refuse("no_systems", f"no system of {q.partition.name} is included", "include one")


def _no_configuration(q: Question) -> Cause | None:
    without = [member.system for view in q.found.levels for member in view.members if member.wanted is None]
    if not without:
        return None
    names = ", ".join(without[:5]) + (" …" if len(without) > 5 else "")
    return q.refuse(
        "no_configuration",
        f"no configuration is selected for {names}",
        "select a tag that covers every system, or a configuration for each",
    )


def _all_right(q: Question) -> Cause | None:
    if any(len(view.right) < len(view.members) for view in q.found.levels):
        return None
    return q.refuse(NOTHING_TO_DO, "every system has its configuration already", "select another one, or start")


def _differing(q: Question) -> list[tuple[Member, Seen]]:
    """The members that are Active or Recording with another configuration than the wanted one."""
    found = ((member, q.partition.seen.get(member.system, UNSEEN)) for member in q.partition.members)
    return [(member, seen) for member, seen in found if differs(member, seen)]


def _same(q: Question) -> Cause | None:
    if _differing(q):
        return None
    return q.refuse(
        NOTHING_TO_DO,
        "every system that is up has its configuration already",
        "save other parameters, or select another one",
    )


def _not_in_place(q: Question) -> Cause | None:
    wrong = [causes.not_in_place(member, seen) for member, seen in _differing(q) if not is_possible(member, seen)]
    if not wrong:
        return None
    message = wrong[0].message + (f"; so for {len(wrong) - 1} more" if len(wrong) > 1 else "")
    cause = q.refuse("not_in_place", message, "stop the run and configure" if q.found.any_records else "configure")
    return msgspec.structs.replace(cause, causes=tuple(wrong)) if len(wrong) > 1 else cause


def _disturbs(q: Question) -> Cause | None:
    """The conditions of a run change only where that is asked for."""
    if q.while_recording or not (open_run := _run_open(q)):
        return None
    return q.refuse(
        "run_open",
        f"{open_run.message}, and its conditions would change",
        "ask for it with while_recording (--while-recording), or stop the run first",
    )


def _no_rest(q: Question) -> Cause | None:
    if q.partition.state in q.partition.template.rests:
        return None
    return q.refuse("wrong_state", f"{q.partition.name} is in {q.partition.state}", "wait until it is over")


def _no_such_state(q: Question) -> Cause | None:
    rests = q.partition.template.rests
    if not q.state or q.state in rests:
        return None
    return causes.unknown_goal(q.partition.name, q.state, rests)


def _there_already(q: Question) -> Cause | None:
    if not q.state or q.busy or q.state != q.found.state or q.state == q.partition.template.idle:
        return None
    height = q.partition.template.height(q.state)
    if any(len(view.right) < len(view.members) for view in q.found.levels[:height]):
        return None
    return q.refuse(NOTHING_TO_DO, f"{q.partition.name} is in {q.state} already", "nothing")


def _no_way_up(q: Question) -> Cause | None:
    """The reasons against a goal above the present state: those against configuring. A goal below has none."""
    template = q.partition.template
    if not q.state or template.reached(q.state) <= template.reached(q.found.configured):
        return None
    return _nobody(q) or _no_configuration(q)


def _no_recorders(q: Question) -> Cause | None:
    if q.partition.template.recorders:
        return None
    name = q.partition.template.name
    return q.refuse("no_recorders", f"nothing records in the template {name}", "name its recorders in the description")


def _not_ready(q: Question) -> Cause | None:
    top = q.partition.template.top
    if q.found.state == top:
        return None
    return q.refuse("wrong_state", f"starting needs {top}, and it is {q.found.state}", "configure first")


def _outdated(q: Question) -> Cause | None:
    """Another configuration is selected than the one that the systems have."""
    if q.found.state != q.partition.template.top:
        return None
    wrong: list[tuple[Member, str]] = []
    for member in (one for view in q.found.levels for one in view.members if one.system not in view.right):
        state = q.partition.seen.get(member.system, UNSEEN).state
        if state and q.found.common[member.system] in (ACTIVE, RECORDING):
            wrong.append((member, state.tag))
    if not wrong:
        return None
    other = [(member, tag) for member, tag in wrong if member.wanted and member.wanted.tag != tag] or wrong
    names = ", ".join(member.system for member, _ in other[:5]) + (" …" if len(other) > 5 else "")
    way = "reconfigure" if is_enough(q.partition.members, q.partition.seen) else "configure"
    if other is wrong:  # the selected tag, but with earlier parameters, or of lower systems that are others by now
        was, tag = "was" if len(other) == 1 else "were", f" with {q.partition.tag}" if q.partition.tag else ""
        message = f"parameters or systems have changed since {names} {was} configured{tag}"
    else:
        tags = ", ".join(sorted({tag for _, tag in other} - {""})) or "no configuration"
        has = "has" if len(other) == 1 else "have"
        message = f"selected {q.partition.tag or 'nothing'}, {names} {has} {tags}"
    return q.refuse("not_configured", f"{message}: {way}", f"{way} first")


def _not_recording(q: Question) -> Cause | None:
    if q.partition.look_until_ns:
        return None
    goal = q.partition.goal
    if q.partition.run or q.found.any_records or (goal and goal.state == q.partition.template.recording):
        return None
    return q.refuse(NOTHING_TO_DO, f"{q.partition.name} does not record", "nothing")


def _all_down(q: Question) -> Cause | None:
    if q.partition.look_until_ns:
        return None  # an owner that has just begun does not know yet what is up
    down = (UNCONFIGURED, ERROR, NO_CONNECTION)
    up = any(q.found.common[member.system] not in down for view in q.found.levels for member in view.members)
    if up or q.busy or q.partition.attempts.pending:
        return None
    return q.refuse(NOTHING_TO_DO, f"no system of {q.partition.name} is configured", "nothing")


def _unknown_system(q: Question) -> Cause | None:
    if not q.system or q.member:
        return None
    known = [member.system for member in q.partition.members]
    message = f"{q.system} is not in {q.partition.name}{did_you_mean(q.system, known)}"
    return q.refuse("not_found", message, "move it here first, where it is a detector")


def _not_in_error(q: Question) -> Cause | None:
    if q.system:
        seen = q.found.common[q.system]
        if seen == NO_CONNECTION:
            return q.refuse("not_connected", f"{q.system} is not connected", f"start the agent of {q.system}")
        return None if seen == ERROR else q.refuse(NOTHING_TO_DO, f"{q.system} is {seen}", "nothing")
    if ERROR in q.found.common.values():
        return None
    return q.refuse(NOTHING_TO_DO, "no system is in Error", "nothing")


def _included_already(q: Question) -> Cause | None:
    if any(not member.included for member in _named(q)):
        return None
    return q.refuse(NOTHING_TO_DO, f"{q.system or 'every system'} is included", "nothing")


def _excluded_already(q: Question) -> Cause | None:
    if any(member.included for member in _named(q)):
        return None
    return q.refuse(NOTHING_TO_DO, f"{q.system or 'every system'} is excluded", "nothing")


def _last_recorder(q: Question) -> Cause | None:
    """Leaving out the only recorder would end the run without saying so."""
    recorders = [m.system for m in q.partition.members if m.included and m.system in q.partition.template.recorders]
    if not q.found.any_records or recorders != [q.system]:
        return None
    return q.refuse("run_open", f"{q.system} is the only recorder of run {q.partition.run}", "stop the run first")


def _late_recorder(q: Question) -> Cause | None:
    """A run is over when a recorder does not record, so one that comes late would end it."""
    here = q.system in q.partition.template.recorders and q.found.common[q.system] != RECORDING
    if not here or not (q.partition.run or q.found.any_records):
        return None
    return q.refuse(
        "run_open", f"{q.system} records from the beginning of a run or not at all", "stop the run, then include it"
    )


def _named(q: Question) -> Iterable[Member]:
    return (member for member in q.partition.members if q.system in ("", member.system))


_CLOSED: tuple[Reason, ...] = (_looking, _unexplained, _locked)
_CONFIGURE: tuple[Reason, ...] = (*_CLOSED, _busy, _nobody, _no_configuration, _all_right)
_REPEAT: tuple[Reason, ...] = (*_CLOSED, _interlocked, _no_recorders, _run_open, _busy, _not_ready)
_START: tuple[Reason, ...] = (*_REPEAT, _outdated)
_SELECT: tuple[Reason, ...] = (*_CLOSED, _unknown_system, _run_open, _busy)

REASONS: dict[str, tuple[Reason, ...]] = {
    "goal": (*_CLOSED, _no_such_state, _there_already, _goal_interlocked, _no_way_up),
    "configure": _CONFIGURE,
    "configure_all": _CONFIGURE,
    "reconfigure": (*_CLOSED, _busy, _no_rest, _same, _not_in_place, _disturbs),
    "start": _START,
    "stop": (_not_recording,),  # neither a lock nor a move may stand against stop and abort
    "abort": (_all_down,),
    "reset": (*_CLOSED, _unknown_system, _not_in_error),
    "include": (*_CLOSED, _unknown_system, _included_already, _late_recorder),
    "exclude": (*_CLOSED, _unknown_system, _excluded_already, _last_recorder),
    "select": _SELECT,
    "select_one": _SELECT,
    "repeat": _REPEAT,  # it selects what the last run had, and configures what differs
    "sequence": _START,
    "lock": (_looking, _locked_already),
    "unlock": (_looking, _not_locked),
    "comment": (),
    "flag": (),
}
"""Command -> what can stand against it, the first first."""
