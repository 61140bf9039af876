"""Makes specs of `core/interlocks` from the described interlocks, for the engine, device hosts and `check`. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from countingroom.alarms.engine.described_conditions import condition_of
from countingroom.alarms.sections.interlocks import (
    CauseSection,
    CauseTestSection,
    EffectSection,
    InterlockSection,
    interlock_priority,
)
from countingroom.core.interlocks.specs import (
    BypassRule,
    CauseSpec,
    CauseTest,
    DeviceCommand,
    EffectSpec,
    InterlockSpec,
    MatrixCell,
    SilenceRule,
    SimulatorFault,
)
from countingroom.core.policy import Role


def interlock_specs(sections: Mapping[str, InterlockSection]) -> tuple[InterlockSpec, ...]:
    """The specs in the order of the description. ValueError or ConfigurationError if one cannot be evaluated."""
    return tuple(interlock_spec(name, section) for name, section in sections.items())


def interlock_spec(name: str, section: InterlockSection) -> InterlockSpec:
    """The spec of one interlock. ConfigurationError for a wrong expression, ValueError if it cannot be evaluated for
    another reason."""
    silent = section.engine_silent
    return InterlockSpec(
        name=name,
        title=section.title,
        causes=tuple(_cause(key, one) for key, one in section.causes.items()),
        effects=tuple(_effect(key, one) for key, one in section.effects.items()),
        matrix=tuple(
            MatrixCell(cause=cause, effect=effect, delay_ns=_ns(delay))
            for cause, row in section.matrix.items()
            for effect, delay in row.items()
        ),
        latch=section.latch,
        reset_role=Role[section.reset.upper()],
        bypass=BypassRule(role=Role[section.bypass.role.upper()], longest_ns=_ns(section.bypass.longest)),
        proof_test_ns=_ns(section.proof_test) if section.proof_test else None,
        engine_silent=SilenceRule(after_ns=_ns(silent.after), effects=tuple(silent.effects)) if silent else None,
        priority=interlock_priority(section),
    )


def _cause(name: str, section: CauseSection) -> CauseSpec:
    unknown_s = section.on_delay if section.unknown_delay is None else section.unknown_delay
    return CauseSpec(
        name=name,
        title=section.title,
        inputs=tuple(condition_of(one) for one in section.inputs),
        vote=section.needed,
        on_delay_ns=_ns(section.on_delay),
        unknown_delay_ns=_ns(unknown_s),
        test=_test(section.test, max(section.on_delay, unknown_s)) if section.test else None,
    )


def _test(section: CauseTestSection, delay_s: float) -> CauseTest:
    simulate, restore = section.simulate, section.restore
    return CauseTest(
        simulate=SimulatorFault(device=simulate.device, fault=simulate.fault, arguments=simulate.arguments),
        restore=SimulatorFault(
            device=restore.device or simulate.device, fault=restore.fault, arguments=restore.arguments
        ),
        trip_ns=_ns(delay_s + section.within),
        within_ns=_ns(section.within),
    )


def _effect(name: str, section: EffectSection) -> EffectSpec:
    return EffectSpec(
        name=name,
        title=section.title,
        commands=tuple(
            DeviceCommand(device=one.device, channel=one.channel, command=one.command, arguments=one.arguments)
            for one in section.commands
        ),
        stop=section.stop or "",
        forbid=section.forbid or "",
    )


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)
