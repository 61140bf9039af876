"""Servers of tests that are killed with all that runs on them, as a loss of power does it, and started again."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, suppress
from typing import Self

import psutil
import pytest

from tests.patience import PATIENCE_S

Begin = Callable[[], AbstractContextManager[subprocess.Popen[bytes]]]


def is_running(pid: int) -> bool:
    """Whether a process is there and has not ended. One question: it may go between two."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


class Host:
    """A server, which runs while the context is entered or until it is killed."""

    process: subprocess.Popen[bytes]

    def __init__(self, begin: Begin) -> None:
        self._begin = begin
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self.process = self._stack.enter_context(self._begin())
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def start(self) -> None:
        """Again, after it was killed."""
        try:
            self.__enter__()
        except pytest.skip.Exception as why:
            raise AssertionError(f"it does not start again: {why}") from None

    def kill(self, others: Iterable[psutil.Process] = ()) -> None:
        """End it with SIGKILL, then the `others` with all that they have begun, each before its children: none is left
        that could tell of their end."""
        found = [
            *with_children(psutil.Process(self.process.pid)),
            *(all for one in others for all in with_children(one)),
        ]
        for one in found:
            with suppress(psutil.NoSuchProcess):
                one.kill()
        _, left = psutil.wait_procs(found, PATIENCE_S)
        assert not left, left


def with_children(process: psutil.Process) -> list[psutil.Process]:
    """A process and all below it."""
    with suppress(psutil.NoSuchProcess):
        return [process, *process.children(recursive=True)]
    return []


def programs(matches: Callable[[list[str], dict[str, str]], bool]) -> Iterator[psutil.Process]:
    """Processes of this computer by their words and environment."""
    for one in psutil.process_iter():
        with suppress(psutil.Error):
            if matches(one.cmdline(), one.environ()):
                yield one
