"""From the section `alarms.rules` to the specs and actions of rules. Pure."""

from __future__ import annotations

from countingroom.alarms.sections.rules import ActionKeys, CommandKeys, LogKeys, RampKeys, RuleSection
from countingroom.core import subjects
from countingroom.core.rules.actions import (
    Action,
    CommandAction,
    LogAction,
    NotifyAction,
    RampAction,
    RuleActions,
)
from countingroom.core.rules.specs import (
    ConditionTrigger,
    CronTrigger,
    EventTrigger,
    FiringRate,
    RuleSpec,
    Trigger,
)
from countingroom.core.times import duration


def spec_of(name: str, rule: RuleSection) -> RuleSpec:
    """The spec of a rule: its trigger, how often it may act, and whether it starts armed."""
    return RuleSpec(
        name=name,
        trigger=_trigger(rule),
        has_unless=rule.unless is not None,
        most=FiringRate(times=rule.most.times, per_ns=round(rule.most.per * 1e9)),
        armed=rule.armed,
    )


def actions_of(rule: RuleSection) -> RuleActions:
    """The actions of a rule, and the roles of its principal."""
    return RuleActions(
        actions=tuple(action_of(one, rule.title) for one in rule.do),
        roles=rule.principal_roles,
        goes_on=rule.go_on,
    )


def action_of(keys: ActionKeys, title: str = "") -> Action:
    """One action. `title`: the title of its rule. ValueError if the keys contain no action."""
    if (command := keys.command) is not None:
        return _command(command)
    if (ramp := keys.ramp) is not None:
        return _ramp(ramp)
    if (notify := keys.notify) is not None:
        return NotifyAction(to=tuple(notify.to), text=notify.text, title=notify.title or title)
    if (log := keys.log) is not None:
        return _log(log)
    raise ValueError("it has no action")


def when_in_words(rule: RuleSection, condition: str = "") -> str:
    """The trigger as text, for example `chiller.bath is above 35, for 5 min`. `condition`: its condition as text."""
    when = rule.when
    if when.cron:
        return f"{when.cron} ({when.zone})"
    if (event := when.event) is not None:
        given = event.model_dump(exclude_defaults=True, exclude={"department", "data"}, mode="json") | event.data
        return f"event of {event.department}: {', '.join(f'{name} {value}' for name, value in given.items())}"
    return f"{condition}, for {duration(rule.hold)}" if rule.hold else condition


def _trigger(rule: RuleSection) -> Trigger:
    when = rule.when
    if when.cron:
        return CronTrigger(expression=when.cron, zone=when.zone)
    if when.event is not None:
        return EventTrigger(**{name: getattr(when.event, name) for name in EventTrigger.__struct_fields__})
    return ConditionTrigger(hold_ns=round(rule.hold * 1e9), acts_if_already_true=rule.if_already_true == "act")


def _command(keys: CommandKeys) -> CommandAction:
    department = "devices" if keys.device else "runs"
    return CommandAction(
        department=department,
        target=keys.device or keys.partition or subjects.EXPERIMENT,
        command=keys.command,
        channel=keys.channel,
        arguments=dict(keys.arguments),
        deadline_s=keys.deadline,
    )


def _ramp(keys: RampKeys) -> RampAction:
    device, _, point = keys.point.partition(".")
    return RampAction(device=device, point=point, to=keys.to, rate_per_s=keys.rate / keys.per, every_s=keys.every)


def _log(keys: LogKeys) -> LogAction:
    return LogAction(text=keys.text, partition=keys.run_book)
