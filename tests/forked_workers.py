"""Runs the tests in several processes that are forks of the one that has collected them: `pytest --workers 4`.

Collecting takes as long as importing all of the product and all tests: 12 s of processor time. Workers that are started
anew, as those of pytest-xdist, spend them each; forks share what was imported, and its memory.

A worker asks for the tests of one file at a time, because they share fixtures. One that ends in the midst of a test
makes this test fail, and another one goes on behind it.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing import Pipe, connection
from typing import Any, cast

import pytest
from _pytest.config import create_terminal_writer

Group = deque[int]
"""The tests that one worker runs, one after the other, by their places in the collection."""


def add_option(parser: pytest.Parser) -> None:
    """The option `--workers`."""
    parser.addoption("--workers", type=int, default=0, help="run the tests in this many processes")


def run_tests(session: pytest.Session, group_of: Callable[[pytest.Item], str]) -> bool | None:
    """The loop over the tests where `--workers` is given, else None. `group_of`: the tests of a group run in one worker
    one after the other; the groups are handed out in the order of the collection."""
    config = session.config
    count: int = config.getoption("workers") or 0
    if not count or config.getoption("collectonly") or session.testsfailed:
        return None
    groups: dict[str, list[int]] = {}
    for place, item in enumerate(session.items):
        groups.setdefault(group_of(item), []).append(place)
    Workers(session, list(groups.values()), count).run()
    if session.shouldfail:
        raise session.Failed(session.shouldfail)
    if session.shouldstop:
        raise session.Interrupted(session.shouldstop)
    return True


class _Worker:
    """A fork, as its parent sees it."""

    def __init__(self, number: int, pid: int, link: connection.Connection) -> None:
        self.number = number
        self.pid = pid
        self.link = link
        self.ending = os.pidfd_open(pid)
        """Readable once it has ended. The link may stay open then: processes that a test has forked have it too."""
        self.given = Group()
        """The tests that it has not ended yet."""


class Workers:
    """The parent: hands out the tests and takes the reports."""

    def __init__(self, session: pytest.Session, groups: Sequence[Sequence[int]], count: int) -> None:
        self._session = session
        self._groups = deque(Group(group) for group in groups)
        self._count = count
        self._working: list[_Worker] = []

    def run(self) -> None:
        """Until every test has run, or as many have failed as `--maxfail` allows."""
        try:
            for number in range(min(self._count, len(self._groups))):
                self._start(number)
            while self._working:
                ready = connection.wait([one for worker in self._working for one in (worker.link, worker.ending)])
                for worker in list(self._working):
                    if worker.link in ready or worker.ending in ready:
                        self._look(worker)
        finally:
            for worker in self._working:
                os.kill(worker.pid, signal.SIGKILL)
                os.waitpid(worker.pid, 0)

    def _start(self, number: int) -> None:
        ours, theirs = Pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid:
            theirs.close()
            self._working.append(_Worker(number, pid, ours))
            return
        status = 1
        try:
            for link in (ours, *(worker.link for worker in self._working)):
                link.close()
            _Fork(self._session, number, theirs).run()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            with suppress(Exception):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(status)

    def _look(self, worker: _Worker) -> None:
        try:
            if worker.link.poll():
                self._take(worker, *worker.link.recv())
                return
        except (EOFError, OSError):
            pass
        self._end(worker)

    def _take(self, worker: _Worker, kind: str, content: Any) -> None:
        if kind == "next":
            group = Group() if self._is_over() or not self._groups else self._groups.popleft()
            worker.given.extend(group)
            worker.link.send(list(group))
        elif kind == "ended":
            worker.given.popleft()
        else:
            hook = self._session.config.hook
            report = hook.pytest_report_from_serializable(config=self._session.config, data=content)
            hook.pytest_runtest_logreport(report=report)

    def _end(self, worker: _Worker) -> None:
        self._working.remove(worker)
        worker.link.close()
        os.close(worker.ending)
        status = os.waitstatus_to_exitcode(os.waitpid(worker.pid, 0)[1])
        told = f"its worker has ended with status {status}"
        if status and not worker.given:
            self._session.shouldfail = told
        if worker.given:
            item = self._session.items[worker.given.popleft()]
            report = pytest.TestReport(item.nodeid, item.location, {}, "failed", told, "call")
            self._session.config.hook.pytest_runtest_logreport(report=report)
        if worker.given:
            self._groups.appendleft(worker.given)
        if self._groups and not self._is_over():
            self._start(worker.number)

    def _is_over(self) -> bool:
        return bool(self._session.shouldfail or self._session.shouldstop)


class _Fork:
    """A worker, as it sees itself."""

    def __init__(self, session: pytest.Session, number: int, link: connection.Connection) -> None:
        self._session = session
        self._link = link
        manager = session.config.pluginmanager
        # What tests print goes into a file of this process: of one in common each would read what others wrote.
        capture: Any = manager.getplugin("capturemanager")
        capture.stop_global_capturing()
        capture.start_global_capturing()
        if reporter := cast(Any, manager.getplugin("terminalreporter")):
            # It stays, because a test that takes too long asks for it, but only the parent is heard.
            reporter._tw = create_terminal_writer(session.config, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w"))
        manager.register(self)
        config: Any = session.config
        folders: Any = config._tmp_path_factory
        folders._basetemp = folders.getbasetemp() / f"worker-{number}"
        folders._basetemp.mkdir(mode=0o700, exist_ok=True)

    def run(self) -> None:
        """Ask for tests and run them, until there are no more."""
        given = self._more()
        while given:
            item = self._session.items[given.popleft()]
            if not given:
                given = self._more()  # a fixture stays as long as the next test needs it, so that must be known
            after = self._session.items[given[0]] if given else None
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
            self._link.send(("ended", None))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Send it to the parent."""
        config = self._session.config
        self._link.send(("report", config.hook.pytest_report_to_serializable(config=config, report=report)))

    def _more(self) -> Group:
        self._link.send(("next", None))
        return Group(self._link.recv())
