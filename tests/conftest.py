"""Tests name what they need. Where it is missing they are skipped; in CI, which must have it, they fail."""

from __future__ import annotations

import asyncio
import gc
import importlib
import inspect
import logging
import os
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path

import pytest

from countingroom.core.umask import VARIABLE as UMASK
from tests import examples, forked_workers
from tests.input_files import OWN, OWN_CHANNELS, Channels, Tables, published, published_channels

# Containers often forbid compiled files. Every process of a test then compiles all of the source again: 5 s of
# processor time each, and as much for the tests themselves. `make test` allows them too.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# What a shell starts in the background ignores Ctrl-C, and so do its children: here programs under test get one.
signal.signal(signal.SIGINT, signal.default_int_handler)

examples.register()

ROOT = Path(__file__).parent.parent
APART = {
    "tests/property/test_experiment.py",
    "tests/property/test_random_histories.py",
    "tests/system/test_runs_killed.py",
}
"""Files whose tests are long and have no fixture in common: workers share them one by one."""

BY_PARAMETER = {"tests/contract/test_drivers.py": "harness"}
"""Files whose tests have in common what a parameter stands for, and no more: workers share them by its values."""

TOGETHER = frozenset(
    f"tests/browser/test_{name}.py"
    for name in (
        "acknowledge_link",
        "alarm_figures",
        "alarm_sound",
        "alarms",
        "apply",
        "fleet",
        "interlocks",
        "login",
        "overview",
        "pictures",
        "reload",
        "results",
        "rules",
        "snapshots",
        "state_timeline",
    )
)
"""Files that one worker runs one after the other, because they have their browser in common and little else to do."""

COMPUTING, WAITING = ("tests/browser/", "tests/property/"), ("tests/system/", *BY_PARAMETER)
"""Folders with tests that mostly compute, and with tests that mostly wait for the processes that they started."""


ENDS_S = 5.0
"""What a cancelled task may take to its end."""
STARTING = ("tests/browser/", "tests/system/")
"""Folders with tests that start whole experiments."""


def by_turns(files: Sequence[str]) -> list[str]:
    """Files that compute and files that wait by turns, then the others: while one worker waits another one computes."""
    computing = [file for file in files if file.startswith(COMPUTING)]
    waiting = [file for file in files if file.startswith(WAITING)]
    place = {file: (number + 0.5) / len(kind) for kind in (computing, waiting) for number, file in enumerate(kind)}
    return sorted(files, key=lambda file: place.get(file, 1.0))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def file(item: pytest.Item) -> str:
        return item.nodeid.partition("::")[0]

    order = {name: number for number, name in enumerate(by_turns(list(dict.fromkeys(map(file, items)))))}
    items.sort(key=lambda item: order[file(item)])


def pytest_collection_finish() -> None:
    """What the tests have imported is not looked through again by each collection of garbage; new databases are
    copied, and the templates of the console compiled once."""
    if "countingroom.storage.database" in sys.modules:
        schema_copy = importlib.import_module("tests.schema_copy")
        schema_copy.install()
    if "countingroom.console.pages.pages" in sys.modules:
        compiled_templates = importlib.import_module("tests.compiled_templates")
        compiled_templates.install()
    gc.collect()
    gc.freeze()


def pytest_addoption(parser: pytest.Parser) -> None:
    forked_workers.add_option(parser)


def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """With `--workers` tests that stand APART are handed out one by one, those BY_PARAMETER together with those of the
    same value, files that run TOGETHER at once, and the others in the order of `by_turns`: with browsers and whole
    experiments first, no worker is left alone with one at the end."""

    def group(item: pytest.Item) -> str:
        file = item.nodeid.partition("::")[0]
        if file in BY_PARAMETER and isinstance(item, pytest.Function):
            return f"{file}[{item.callspec.params[BY_PARAMETER[file]]}]"
        if file in TOGETHER:
            return "together"
        return item.nodeid if file in APART else file

    if session.config.getoption("workers") and any(item.nodeid.startswith(STARTING) for item in session.items):
        importlib.import_module("tests.warm_python").server()  # one for all workers
    return forked_workers.run_tests(session, group)


_POSTGRESQL = sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")), reverse=True)  # Debian keeps it off the PATH
_SYSTEM_PATH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin", "/sbin", *_POSTGRESQL))


@pytest.fixture(scope="session")
def needs() -> Callable[..., str]:
    """`needs("mosquitto")`: the path of that program, or of the first of several that is there; without it the test is
    skipped, or fails where CI=true."""

    def need(*programs: str) -> str:
        for program in programs:
            if found := shutil.which(program, path=_SYSTEM_PATH):
                return found
        missing = f"{programs[0]} is not installed; requirements/debian.txt names its package"
        if os.environ.get("CI", "").lower() in {"true", "1"}:
            pytest.fail(missing, pytrace=False)
        pytest.skip(missing)

    return need


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real input files of other systems, kept beside the repository and not in it."""
    place = ROOT.parent / "shared" / "data"
    if not place.is_dir():
        pytest.skip("the real input files are not beside this checkout")
    return place


@pytest.fixture(params=["own", "published"])
def tables(request: pytest.FixtureRequest) -> Tables:
    """The state tables of run control: the project's own, and the published ones where they are."""
    if request.param == "own":
        return OWN
    place: Path = request.getfixturevalue("shared_data")
    return published(place / "run-control")


@pytest.fixture(params=["own", "published"])
def channels(request: pytest.FixtureRequest) -> Channels:
    """A file of CAEN channels: the project's own, and a test stand's where it is."""
    if request.param == "own":
        return OWN_CHANNELS
    place: Path = request.getfixturevalue("shared_data")
    return published_channels(place / "slow-control")


@pytest.fixture
def free_port() -> Callable[[], int]:
    """A function that finds a TCP port of loopback that nobody listens on now."""

    def find() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return int(probe.getsockname()[1])

    return find


@pytest.fixture
def caplog(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """The log without the event loop's, which reports what an earlier test has left at the time when that is freed."""

    def is_of_the_test(record: logging.LogRecord) -> bool:
        return record.name != "asyncio"

    caplog.handler.addFilter(is_of_the_test)
    yield caplog
    caplog.handler.removeFilter(is_of_the_test)


@pytest.fixture
async def no_leaked_tasks() -> AsyncIterator[None]:
    """Every task a test started has ended with it, or was cancelled and ends now."""
    before = asyncio.all_tasks()
    yield
    left = [task for task in asyncio.all_tasks() - before if task is not asyncio.current_task() and not task.done()]
    if ending := [task for task in left if task.cancelling()]:
        await asyncio.wait(ending, timeout=ENDS_S)
        left = [task for task in left if not task.done()]
    if left:
        names = "\n".join(f"  {task.get_name()}: {task.get_coro()}" for task in left)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        pytest.fail(f"tasks outlived their test:\n{names}", pytrace=False)


@pytest.fixture(autouse=True)
def _umask_ends_with_the_test() -> Iterator[None]:
    """A command that makes its files private does so for the rest of its process, which is that of the tests. So is
    the variable by which its children know the umask of the user."""
    former, variable = os.umask(0o022), os.environ.get(UMASK)
    os.umask(former)
    yield
    os.umask(former)
    if variable is None:
        os.environ.pop(UMASK, None)


@pytest.fixture(autouse=True)
def _tasks_are_owned(request: pytest.FixtureRequest) -> None:
    if inspect.iscoroutinefunction(getattr(request, "function", None)):
        request.getfixturevalue("no_leaked_tasks")
