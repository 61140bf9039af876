"""`interlock test` by simulation: what it will do, the question, the trials, and the record of each."""

from __future__ import annotations

import signal
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import typer
from msgspec import convert, to_builtins

from countingroom.cli.client import Client
from countingroom.cli.feed import messages
from countingroom.cli.interlock_trial import Trial, TrialFinding, hindrance, in_words, line, states_of
from countingroom.cli.outcome import give, raise_failed
from countingroom.cli.output import print_json
from countingroom.core.clock import SystemClock
from countingroom.core.errors import Cause, CountingRoomError, NotFound, Refused, RequestError
from countingroom.core.interlocks.local_part import device_of
from countingroom.core.interlocks.specs import SimulatorFault
from countingroom.core.interlocks.states import CauseState, InterlockState
from countingroom.core.times import duration


class SimulatedPlant:
    """The simulators and the interlock behind the API."""

    def __init__(self, api: Client, interlock: str, wait: float) -> None:
        self._api = api
        self._target = f"interlocks/{quote(interlock, safe='')}"
        self._wait = wait

    def provoke(self, fault: SimulatorFault) -> None:
        """Give this fault to the simulator."""
        self._api.post(f"/api/v1/simulators/{fault.device}/faults/{fault.fault}", {"arguments": fault.arguments})

    def reset(self) -> None:
        """Reset the interlock."""
        raise_failed(give(self._api, self._target, "reset", {"arguments": {}}, self._wait))

    def record(self, finding: TrialFinding) -> None:
        """Record the proof test."""
        arguments = {"passed": finding.passed, "comment": finding.comment, "cause": finding.cause}
        raise_failed(give(self._api, self._target, "proof_test", {"arguments": arguments}, self._wait))


def test_by_simulation(url: str, interlock: str, cause: str, wait: float, *, yes: bool, json: bool) -> None:
    """Test one cause, or each that declares a test. With `json` the steps go to standard error. Refused with
    `proof_test_failed` where one has failed; the causes after it are not tested."""
    with Client(url) as api:
        state = _state(api, interlock)
        causes = _chosen(state, cause)
        stale_s = {one.name: _staleness(api, one) for one in causes}
        for text in _plan(state, causes, stale_s):
            typer.echo(text, err=json)
        if (why := hindrance(state, causes[0])) is not None:
            raise why
        if not yes:
            typer.confirm("Go on?", abort=True, err=json)
        plant, findings = SimulatedPlant(api, interlock, wait), list[TrialFinding]()
        with _ended_by_a_signal():
            for one in causes:
                findings.append(_try(plant, url, interlock, one, stale_s[one.name], json=json))
                if not findings[-1].passed:
                    break
    if json:
        print_json([{**to_builtins(one), "passed": one.passed, "comment": one.comment} for one in findings])
    if findings and not findings[-1].passed:
        raise Refused(
            Cause(
                code="proof_test_failed",
                message=f"the proof test of {findings[-1].cause} has failed: {'; '.join(findings[-1].missing)}",
                source=f"interlock.{interlock}",
                suggestion=f"look at: countingroom interlock show {interlock}",
            )
        )


@contextmanager
def _ended_by_a_signal() -> Generator[None]:
    """SIGTERM ends the command as Ctrl-C does: the fault is ended first."""

    def end(*_: object) -> None:
        raise SystemExit(128 + signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _try(
    plant: SimulatedPlant, url: str, interlock: str, cause: CauseState, stale_s: float, *, json: bool
) -> TrialFinding:
    def tell(time_ns: int, text: str) -> None:
        typer.echo(line(time_ns, text), err=json)

    assert cause.test is not None  # noqa: S101 - it was chosen by that
    feed = messages(url, False, devices=[], points=False, states=True, events=False, partitions=[""])
    clock = SystemClock()
    trial = Trial(plant, states_of(interlock, feed), clock, tell, cause.name, cause.test, stale_s)
    try:
        finding = trial.run()
    except BaseException:  # Ctrl-C too: what is left behind is told before the command ends
        last = in_words(trial.state) if trial.state else "its state was not seen"
        typer.echo(f"not finished, nothing is recorded. Last seen: {last}", err=True)
        typer.echo(f"see: countingroom interlock show {interlock}", err=True)
        raise
    tell(clock.now_ns(), f"proof test of {cause.name} {'passed' if finding.passed else 'FAILED'}; {finding.comment}")
    plant.record(finding)
    tell(clock.now_ns(), "recorded")
    return finding


def _state(api: Client, interlock: str) -> InterlockState:
    found: Any = api.get(f"/api/v1/interlocks/{quote(interlock, safe='')}")["interlock"]
    return convert(found, InterlockState)


def _chosen(state: InterlockState, name: str) -> list[CauseState]:
    """The causes to be tested."""
    if not name:
        if found := [one for one in state.causes if one.test is not None]:
            return found
        raise _no_test(f"no cause of {state.name} declares a test")
    cause = state.cause(name)
    if cause is None:
        known = ", ".join(one.name for one in state.causes)
        raise NotFound(f"{state.name} has no cause {name}", source="--cause", suggestion=f"choose one of {known}")
    if cause.test is None:
        raise _no_test(f"the cause {name} declares no test")
    return [cause]


def _no_test(why: str) -> RequestError:
    return RequestError(
        f"{why} by simulation",
        source="cli",
        code="no_test",
        suggestion="add the key `test` to it; or test by hand, and record it with --passed or --failed",
    )


def _staleness(api: Client, cause: CauseState) -> float:
    """After so many seconds all its points are stale. RequestError (`not_simulated`) where a device of its test is
    not simulated."""
    test = cause.test
    for device in {test.simulate.device, test.restore.device} if test else ():
        if not _catalogue(api, device)["simulated"]:
            raise RequestError(
                f"{device} is not simulated, so it cannot be given a fault",
                source="cli",
                code="not_simulated",
                suggestion="start the experiment with --simulate; or test by hand, and record it with --passed",
            )
    times = [0.0]
    points = {address for one in cause.inputs for address in one.points}
    for device in {device_of(address) for address in points} - {""}:
        try:
            known = _catalogue(api, device)["points"]
        except CountingRoomError:
            continue  # a device that is gone: `within` has to do
        times += [float(one["stale_after_s"]) for one in known if f"{device}.{one['name']}" in points]
    return max(times)


def _catalogue(api: Client, device: str) -> Any:
    return api.get(f"/api/v1/devices/{quote(device, safe='')}")["catalogue"]


def _plan(state: InterlockState, causes: Sequence[CauseState], stale_s: dict[str, float]) -> list[str]:
    """What will be done, line by line."""
    lines = [f"Proof test of the interlock {state.name} ({state.title}) by simulation:"]
    effects = {one.name: one.does for one in state.effects}
    for cause in causes:
        if cause.test is None:
            continue
        most_s = stale_s[cause.name] + cause.test.trip_ns / 1e9
        lines.append(f"  {cause.name}: fault {cause.test.simulate.shown}; it must trip within {duration(most_s)}")
        for cell in state.matrix:
            if cell.cause == cause.name:
                after = f" after {duration(cell.delay_ns / 1e9)}" if cell.delay_ns else ""
                lines.append(f"    then{after} {cell.effect}: {effects.get(cell.effect, '')}")
        reset = "reset" if state.latch else "it releases by itself"
        lines.append(f"    then fault {cause.test.restore.shown}, {reset}, and the result is recorded")
    if untested := [one.name for one in state.causes if one.test is None]:
        lines.append(f"Not tested, because they declare no `test`: {', '.join(untested)}. Test them by hand.")
    return [*lines, "The effects really act on this experiment. Devices stay as they leave them."]
