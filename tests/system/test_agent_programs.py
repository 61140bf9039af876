"""Programs behind a system are judged by their exit status, ended with all their children, and found again."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from countingroom.bus import streams
from countingroom.bus.memory.bus import MemoryBus
from countingroom.core import subjects
from countingroom.core.clock import SystemClock
from countingroom.core.messages import Presence, decode, encode
from countingroom.core.process_groups import is_alive
from countingroom.core.systems import Action, Answer, Order, SystemState
from countingroom.runs.agents.host import AgentHost
from countingroom.runs.agents.kinds import program
from countingroom.runs.description import RunsSection
from tests.hosts import is_running
from tests.patience import PATIENCE_S

STEPS = [
    ["Unconfigured", "configure", "Configuring_Step1"],
    ["Configuring_Step1", "success", "Configuring_Step2"],
    ["Configuring_Step1", "abort", "Unconfigured"],
    ["Configuring_Step1", "error", "Error"],
    ["Configuring_Step2", "success", "Active"],
    ["Configuring_Step2", "abort", "Unconfigured"],
    ["Configuring_Step2", "error", "Error"],
    ["Active", "configure", "Configuring_Step1"],
    ["Active", "abort", "Unconfigured"],
    ["Active", "error", "Error"],
    ["Active", "start", "Recording"],
    ["Recording", "stop", "Active"],
    ["Recording", "abort", "Unconfigured"],
    ["Recording", "error", "Error"],
    ["Error", "reset", "Unconfigured"],
]
MAP = {f"Configuring_Step{n}": "Configuring" for n in (1, 2)}


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


class Stage:
    def __init__(self, place: Path) -> None:
        self.place = place
        self.clock = SystemClock()
        self.bus = MemoryBus(self.clock)
        self.orders = 0
        self.host: asyncio.Task[None] | None = None

    async def begin(self, agent: dict[str, Any]) -> None:
        await streams.prepare(self.bus)
        system = {"type": {"table": STEPS, "map": MAP}, "agent": agent}
        section = RunsSection.model_validate({"systems": {"daq": system, "far": {"agent": {"kind": "none"}}}})

        async def connect(name: str) -> MemoryBus:
            return self.bus.client(name)

        host = AgentHost(connect, self.clock, section, directory=self.place, data=self.place / "data")
        assert list(host.systems) == ["daq"]
        async with asyncio.timeout(PATIENCE_S), self.bus.subscribe(subjects.pulse("daq")) as beats:
            self.host = asyncio.create_task(host.run())
            async for beat in beats:
                if not decode(beat.data, Presence).leaving:
                    return

    async def end(self) -> None:
        if self.host:
            self.host.cancel()
            with suppress(asyncio.CancelledError):
                await self.host

    async def order(self, action: Action, deadline_s: float = 30, **more: Any) -> Answer:
        self.orders += 1
        deadline_ns = self.clock.now_ns() + round(deadline_s * 1e9)
        order = Order(id=f"o{self.orders}", action=action, partition="p", fence=1, deadline_ns=deadline_ns, **more)
        return decode((await self.bus.request(subjects.agent("daq"), encode(order), timeout_s=PATIENCE_S)).data, Answer)

    async def until(self, true: Callable[[SystemState], bool]) -> SystemState:
        async with asyncio.timeout(PATIENCE_S), self.bus.watch("state", subjects.system_key("daq")) as entries:
            async for entry in entries:
                data = getattr(entry, "data", None)
                if data and true(state := decode(data, SystemState)):
                    return state
        raise AssertionError

    async def reached(self, state: str) -> SystemState:
        return await self.until(lambda seen: seen.state == state)


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    made = Stage(tmp_path)
    yield made
    await made.end()


async def appears(path: Path) -> str:
    async with asyncio.timeout(PATIENCE_S):
        while not path.exists() or not path.read_text().endswith("\n"):
            await asyncio.sleep(0.01)
    return path.read_text()


TELL = """
import json, os, sys
order = json.loads(sys.stdin.readline())
assert order["parameters"] == json.loads(os.environ["COUNTINGROOM_PARAMETERS"])
with open("told.txt", "a") as file:
    print(order["action"], order["step"], sys.argv[1:], os.environ["COUNTINGROOM_TAG"], order["run"], file=file)
print("all is well")
"""


async def test_a_program_a_step_is_told_what_to_do_and_its_status_decides(stage: Stage) -> None:
    tell = python(TELL)
    await stage.begin(
        {
            "kind": "script",
            "configure": [[*tell, "{hv}", "{unknown}"], [*tell, "{step} of {partition}"]],
            "start": [*tell, "{run}"],
            "stop": tell,
            "abort": python("print('gone'); raise SystemExit(3)"),
        }
    )
    await stage.order(Action.CONFIGURE, tag="t", key="k", parameters={"hv": 1500, "on": True})
    await stage.reached("Active")
    await stage.order(Action.START, run=4)
    await stage.reached("Recording")
    await stage.order(Action.STOP)
    await stage.reached("Active")
    assert (stage.place / "told.txt").read_text().splitlines() == [
        "configure Configuring_Step1 ['1500', '{unknown}'] t 0",
        "configure Configuring_Step2 ['Configuring_Step2 of p'] t 0",
        "start  ['4'] t 4",
        "stop  [] t 0",
    ]
    await stage.order(Action.ABORT)
    state = await stage.reached("Error")
    assert state.cause
    assert (state.cause.code, state.cause.evidence["status"], state.cause.evidence["said"]) == (
        "program_failed",
        3,
        "gone",
    )


async def test_a_program_changes_parameters_while_the_system_records(stage: Stage) -> None:
    tell = python(TELL)
    change = python(TELL + "raise SystemExit(json.loads(os.environ['COUNTINGROOM_PARAMETERS'])['hv'] > 2000)")
    await stage.begin(
        {
            "kind": "script",
            "configure": [tell, tell],
            "reconfigure": [*change, "{hv}", "{tag}"],
            "stop": [*tell, "{hv}"],
        }
    )
    await stage.order(Action.CONFIGURE, tag="t", key="k1", base="b", parameters={"hv": 1500})
    await stage.reached("Active")
    await stage.order(Action.START, run=4)
    began = await stage.reached("Recording")
    await stage.order(Action.RECONFIGURE, tag="t", key="k2", base="b", run=4, parameters={"hv": 1600})
    state = await stage.until(lambda seen: seen.key == "k2")
    assert (state.state, state.run, state.since_ns) == ("Recording", 4, began.since_ns)
    await stage.order(Action.RECONFIGURE, tag="t", key="k3", base="b", run=4, parameters={"hv": 9000})
    state = await stage.until(lambda seen: seen.cause is not None)
    assert (state.state, state.run, state.key) == ("Recording", 4, "k2")
    assert state.cause
    assert state.cause.code == "program_failed"
    await stage.order(Action.STOP)
    await stage.reached("Active")
    assert (stage.place / "told.txt").read_text().splitlines()[2:] == [
        "reconfigure  ['1600', 't'] t 4",
        "reconfigure  ['9000', 't'] t 4",
        "stop  ['1600'] t 0",
    ]


async def test_a_program_that_changes_parameters_is_ended_by_a_stop(stage: Stage) -> None:
    hang = python("import pathlib, time; pathlib.Path('begun').write_text('begun\\n'); time.sleep(600)")
    await stage.begin({"kind": "script", "reconfigure": hang})
    await stage.order(Action.CONFIGURE, tag="t", key="k1", base="b")
    await stage.reached("Active")
    await stage.order(Action.START, run=4)
    await stage.reached("Recording")
    assert (await stage.order(Action.RECONFIGURE, tag="u", key="k2", base="b", run=4)).accepted
    await appears(stage.place / "begun")
    assert (await stage.order(Action.STOP)).accepted
    state = await stage.reached("Active")
    assert (state.tag, state.key) == ("t", "")


async def test_many_runs_leave_no_file_open_and_no_process_behind(stage: Stage) -> None:
    quick = python("print('done')")
    await stage.begin({"kind": "script", "configure": [quick, quick], "start": quick, "stop": quick, "abort": quick})
    await stage.order(Action.CONFIGURE, tag="t", key="k")
    await stage.reached("Active")
    own = psutil.Process()
    held: list[tuple[int, int]] = []
    for run in range(1, 8):
        await stage.order(Action.START, run=run)
        await stage.reached("Recording")
        await stage.order(Action.STOP)
        await stage.reached("Active")
        held.append((own.num_fds(), len(own.children(recursive=True))))
    assert held[-1] <= held[1], held


async def test_a_program_that_is_not_there_is_an_error_that_names_it(stage: Stage) -> None:
    await stage.begin({"kind": "script", "configure": [["no-such-program"]]})
    await stage.order(Action.CONFIGURE)
    state = await stage.reached("Error")
    assert state.cause
    assert "no-such-program" in state.cause.message


FAMILY = """
import subprocess, sys, time, os, signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
children = [
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]),
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True),
]
print(*(child.pid for child in children), os.getpid(), file=open("pids.new", "w"))
os.rename("pids.new", "pids.txt")
time.sleep(600)
"""


@pytest.mark.parametrize("how", ["abort", "deadline", "agent"])
async def test_a_program_is_ended_with_all_its_children(
    stage: Stage, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "ASKED_S", 0.2)
    await stage.begin({"kind": "script", "configure": [python(FAMILY)]})
    await stage.order(Action.CONFIGURE, deadline_s=2 if how == "deadline" else 30)
    pids = [int(word) for word in (await appears(stage.place / "pids.txt")).split()]
    family = [psutil.Process(pid) for pid in pids]
    if how == "abort":
        await stage.order(Action.ABORT)
        await stage.reached("Unconfigured")
    elif how == "deadline":
        await stage.reached("Error")
    else:
        await stage.end()
    async with asyncio.timeout(PATIENCE_S):
        while any(is_alive(one) for one in family):
            await asyncio.sleep(0.01)


async def test_a_program_may_leave_children_behind_that_hold_its_output(stage: Stage) -> None:
    code = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, file=open("pid.txt", "w"))
"""
    await stage.begin({"kind": "script", "configure": [python(code)]})
    await stage.order(Action.CONFIGURE)
    await stage.reached("Active")
    child = psutil.Process(int((stage.place / "pid.txt").read_text()))
    assert is_alive(child)
    child.kill()


async def test_what_a_program_leaves_behind_goes_on_writing_lines(stage: Stage) -> None:
    writer = """
import time, sys
for number in range(100000):
    print("line", number, "x" * 10000, flush=True)
    open("lines.txt", "a").write("x")
    time.sleep(0.002)
"""
    code = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {writer!r}])
print(child.pid, file=open("pid.txt", "w"))
"""
    await stage.begin({"kind": "script", "configure": [python(code)]})
    await stage.order(Action.CONFIGURE)
    await stage.reached("Active")
    child = psutil.Process(int((stage.place / "pid.txt").read_text()))
    await stage.end()
    lines = stage.place / "lines.txt"
    written = len(lines.read_text()) if lines.exists() else 0
    async with asyncio.timeout(PATIENCE_S):  # more than a pipe holds
        while not lines.exists() or len(lines.read_text()) < written + 200:
            assert is_alive(child)
            await asyncio.sleep(0.01)
    child.kill()


KILLED = """
import asyncio, pathlib, sys
from countingroom.core.clock import SystemClock
from countingroom.runs.agents.kinds import program
from countingroom.runs.agents.kinds.guardian import Guardian

here = pathlib.Path(sys.argv[1])
asyncio.run(program.run(
    [sys.executable, "-c", sys.argv[2]], SystemClock(), directory=here, environment={}, given=b"",
    said=print, guardian=Guardian(here / "guardian.lock"),
))
"""
SHELL = """
import os, subprocess, sys, time
here = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
far = "import os, time; os.fork() and os._exit(0); os.setsid(); print(os.getpid(), file=open('far.txt', 'w')); "
subprocess.run([sys.executable, "-c", far + "time.sleep(600)"])
print(os.getpid(), here.pid, file=open("pids.new", "w"))
os.rename("pids.new", "pids.txt")
time.sleep(600)
"""


async def test_a_kill_of_the_agents_ends_the_program_with_all_its_children_before_the_next_one(tmp_path: Path) -> None:
    agents = await asyncio.create_subprocess_exec(sys.executable, "-c", KILLED, str(tmp_path), SHELL)
    pids = [*(await appears(tmp_path / "pids.txt")).split(), await appears(tmp_path / "far.txt")]
    family = [psutil.Process(int(pid)) for pid in pids]
    assert all(is_alive(one) for one in family)
    agents.kill()
    await agents.wait()
    # The next process runs a program at once, and finds nothing of the last one.
    look = (
        "import psutil; from countingroom.core.process_groups import is_alive; found = psutil.process_iter();"
        f"print([one.pid for one in found if one.pid in {[one.pid for one in family]} and is_alive(one)])"
    )
    following = await asyncio.create_subprocess_exec(
        sys.executable, "-c", KILLED, str(tmp_path), look, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await following.communicate()
    assert said.split()[-1] == b"[]"
    assert not any(is_alive(one) for one in family)


async def test_parameters_of_any_length_reach_a_program(stage: Stage) -> None:
    code = """
import json, os, sys
given = json.loads(sys.stdin.readline())["parameters"]
assert given == json.load(open(os.environ["COUNTINGROOM_PARAMETERS_FILE"]))
assert len(given["mask"]) == 300000 and "COUNTINGROOM_PARAMETERS" not in os.environ
print(os.environ["COUNTINGROOM_PARAMETERS_FILE"], file=open("file.txt", "w"))
"""
    await stage.begin({"kind": "script", "configure": [python(code)]})
    await stage.order(Action.CONFIGURE, tag="t", key="k", parameters={"mask": "1" * 300_000})
    state = await stage.until(lambda seen: seen.state in ("Active", "Error"))
    assert state.state == "Active", state.cause
    assert not Path((stage.place / "file.txt").read_text().strip()).exists()


async def test_programs_of_all_actions_get_tag_and_parameters(stage: Stage) -> None:
    tell = python("import sys; open('told.txt', 'a').write(' '.join(sys.argv[1:]) + '\\n')")
    actions = {name: [*tell, "{action}", "{tag}", "{hv}"] for name in ("start", "stop", "abort")}
    await stage.begin({"kind": "script", **actions})
    await stage.order(Action.CONFIGURE, tag="t", key="k", parameters={"hv": 1500})
    await stage.reached("Active")
    await stage.order(Action.START, run=4)
    await stage.reached("Recording")
    await stage.order(Action.STOP)
    await stage.reached("Active")
    await stage.order(Action.ABORT, tag="t2", parameters={"hv": 7})
    await stage.reached("Unconfigured")
    told = (stage.place / "told.txt").read_text().splitlines()
    assert told == ["start t 1500", "stop t 1500", "abort t2 7"]


CALIBRATE = """
import json, pathlib, signal, sys, time, os
ended = []
signal.signal(signal.SIGTERM, lambda *_: ended.append(1))
order = json.loads(sys.stdin.readline())
pathlib.Path(sys.argv[1], "curve.txt").write_text("result")
print("starting up")
print(json.dumps({"counters": {"scans": 1}, "comment": "module 1"}), flush=True)
while not ended and not os.path.exists("finish"):
    time.sleep(0.02)
print(json.dumps({"counters": {"scans": 2}}), flush=True)
raise SystemExit(int(open("finish").read() or 0) if os.path.exists("finish") else 0)
"""
CALIBRATION = {"kind": "calibration", "command": [*python(CALIBRATE), "{results}"], "environment": {"GAIN": 3}}


async def calibrating(stage: Stage) -> Path:
    await stage.begin(CALIBRATION)
    await stage.order(Action.CONFIGURE, key="k", tag="t")
    await stage.reached("Active")
    await stage.order(Action.START, run=12)
    await stage.until(lambda state: state.counters == {"scans": 1})
    return stage.place / "data" / "results" / "daq" / "run_000012"


async def test_a_calibration_works_while_recording_and_its_results_are_kept(stage: Stage) -> None:
    folder = await calibrating(stage)
    await stage.order(Action.STOP)
    state = await stage.reached("Active")
    assert state.counters == {"scans": 2}
    assert (folder / "curve.txt").read_text() == "result"
    assert (folder / "output.jsonl").read_text().startswith("starting up\n")
    assert json.loads((folder / "order.json").read_text())["run"] == 12


MALFORMED = """
import json, sys, time
for line in (
    '{"x": ' + "[" * 3000,
    '{"counters": {"x": ' + "[" * 3000 + "]" * 3000 + "}}",
    '{"comment": "\\\\ud800"}',
    '{"counters": {"large": 123456789012345678901234567890, "inf": 1e999}}',
    '{"counters": 7}',
    json.dumps({"comment": "x" * 9_000_000}),
    json.dumps({"counters": {"t": "y" * 9_000_000}}),
    json.dumps({"counters": {str(number): number for number in range(50_000)}}),
    *(json.dumps({"counters": {f"k{number}": number}}) for number in range(3000)),
):
    print(line)
sys.stdout.flush()
sys.stdout.buffer.write(b"\\xff\\xfe{\\n\\0\\n")
print(json.dumps({"comment": "well", "counters": {"scans": 7}}), flush=True)
time.sleep(600)
"""


async def test_no_output_of_a_calibration_ends_its_agent_or_makes_its_state_large(stage: Stage) -> None:
    await stage.begin({"kind": "calibration", "command": python(MALFORMED)})
    await stage.order(Action.CONFIGURE, key="k", tag="t")
    await stage.reached("Active")
    await stage.order(Action.START, run=12)
    state = await stage.until(lambda state: state.comment == "well")
    assert state.state == "Recording"
    assert len(encode(state)) < 100_000
    await stage.order(Action.STOP)
    await stage.reached("Active")


@pytest.mark.parametrize(("status", "after"), [("0", "Active"), ("5", "Error")])
async def test_a_calibration_that_ends_by_itself_ends_recording(stage: Stage, status: str, after: str) -> None:
    await calibrating(stage)
    (stage.place / "finish").write_text(status)
    state = await stage.reached(after)
    assert state.counters == {"scans": 2}
    assert (state.cause is not None) == (after == "Error")


async def test_a_calibration_goes_on_without_its_agent_and_is_found_again(stage: Stage) -> None:
    folder = await calibrating(stage)
    await stage.end()
    pid = json.loads((folder / "program.json").read_text())["pid"]
    assert is_alive(psutil.Process(pid))
    await stage.begin(CALIBRATION)
    state = await stage.reached("Recording")
    assert (state.run, state.key) == (12, "k")
    await stage.until(lambda state: state.counters == {"scans": 1})
    await stage.order(Action.ABORT)
    await stage.reached("Unconfigured")
    assert not is_running(pid)


async def test_a_calibration_that_ended_meanwhile_is_found_at_rest(stage: Stage) -> None:
    folder = await calibrating(stage)
    await stage.end()
    (stage.place / "finish").write_text("0")
    pid = json.loads((folder / "program.json").read_text())["pid"]
    async with asyncio.timeout(PATIENCE_S):
        while is_running(pid):
            await asyncio.sleep(0.01)
    await stage.begin(CALIBRATION)
    state = await stage.reached("Active")
    assert (state.run, state.key, state.tag) == (0, "k", "t")
