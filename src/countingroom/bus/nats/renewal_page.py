"""Times that a process and the process that renews its leases share in memory: no message is sent for each renewal.

The first number is the last moment at which the holder's event loop ran. Each other one is the end of a lease.
"""

from __future__ import annotations

import mmap
import os

SLOTS = 4096


class RenewalPage:
    """Numbers in shared memory: monotonic times, s. That clock is the same in all processes of a machine."""

    def __init__(self, descriptor: int) -> None:
        self._memory = mmap.mmap(descriptor, SLOTS * 8)
        self._numbers = memoryview(self._memory).cast("d")

    @property
    def tick(self) -> float:
        """When the holder's event loop ran last."""
        return self._numbers[0]

    @tick.setter
    def tick(self, time: float) -> None:
        self._numbers[0] = time

    def __getitem__(self, slot: int) -> float:
        return self._numbers[slot]

    def __setitem__(self, slot: int, time: float) -> None:
        self._numbers[slot] = time

    def close(self) -> None:
        """Release the memory."""
        self._numbers.release()
        self._memory.close()


class SharedPage(RenewalPage):
    """The page of the process that makes it, with a path by which its child opens it."""

    def __init__(self) -> None:
        self._descriptor = os.memfd_create("leases")  # in memory: a full disk must not end a lease
        os.ftruncate(self._descriptor, SLOTS * 8)
        super().__init__(self._descriptor)
        self.path = f"/proc/{os.getpid()}/fd/{self._descriptor}"

    def close(self) -> None:
        super().close()
        os.close(self._descriptor)


def opened(path: str) -> RenewalPage:
    """The page of another process; OSError when that has ended."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        return RenewalPage(descriptor)
    finally:
        os.close(descriptor)
