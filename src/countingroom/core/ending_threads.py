"""Threads for work that waits for a disk. A thread that hangs does not stop its process from ending.

The threads of ThreadPoolExecutor are joined at the end of the process, without a deadline, and a thread cannot be
killed. A process whose disk hung did not end before its supervisor killed it, and without a supervisor not at all.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import partial
from queue import SimpleQueue
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class EndingThreads(Executor):
    """An executor whose threads end with the process, also while they wait for a disk."""

    def __init__(self, most: int, name: str) -> None:
        """`most`: the largest number of threads. With one thread, work is done in the order of its submission."""
        self._most = most
        self._name = name
        self._jobs: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._is_shut = False
        self.ended: Future[None] = Future()
        """Done when the last thread has ended after `shutdown`."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Do it in a thread. RuntimeError after `shutdown`."""
        future: Future[T] = Future()
        with self._lock:
            if self._is_shut:
                raise RuntimeError(f"{self._name}: no more work after the shutdown")
            self._jobs.put((future, partial(fn, *args, **kwargs)))
            if self._threads < self._most:
                self._threads += 1
                threading.Thread(target=self._work, name=f"{self._name}-{self._threads}", daemon=True).start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more work; submitted work is still done. `wait`: return when the last thread has ended."""
        with self._lock:
            if not self._is_shut:
                self._is_shut = True
                for _ in range(self._threads):
                    self._jobs.put(None)
                if not self._threads:
                    self.ended.set_result(None)
        if wait:
            self.ended.result()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            future, work = job
            if future.set_running_or_notify_cancel():
                try:
                    result = work()
                except BaseException as error:  # as in every executor, it is raised by `future.result()`
                    future.set_exception(error)
                else:
                    future.set_result(result)
                    del result
            del job, future, work  # otherwise this idle thread would keep their objects alive until the next job
        with self._lock:
            self._threads -= 1
            is_last = not self._threads
        if is_last:
            self.ended.set_result(None)
