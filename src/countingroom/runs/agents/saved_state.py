"""The saved state of a system, in a small file, so that a restarted agent finds a system that continued without it.

The file is overwritten by one write of constant size: this takes microseconds and leaves no partial file when the agent
is killed. It is cleared before work begins that makes it wrong, and is ignored after a reboot of the machine.
"""

from __future__ import annotations

import logging
import os
from functools import cache
from pathlib import Path

import msgspec
from msgspec import Struct

from countingroom.core.messages import Malformed, decode_json
from countingroom.runs.agents.port import Recovery

_log = logging.getLogger(__name__)

_BYTES = 1024
"""Size of a file. A longer state is not saved."""
_BOOT = Path("/proc/sys/kernel/random/boot_id")
"""The boot id of the machine: a new random value after each reboot."""


class _Kept(Struct, frozen=True, kw_only=True):
    recovery: Recovery
    machine: str


class SavedState:
    """Saved states of one agent; without a directory it saves none."""

    def __init__(self, directory: Path | None, system: str) -> None:
        self._directory = directory
        self._system = system
        self._known: dict[str, Recovery | None] = {}
        if directory:
            directory.mkdir(parents=True, exist_ok=True)

    def found(self, at: str) -> Recovery | None:
        """The saved state of a context; None when there is none since the boot of the machine."""
        if at not in self._known:
            self._known[at] = self._read(at)
        return self._known[at]

    def keep(self, at: str, recovery: Recovery) -> None:
        """Save the stable state of a context."""
        if self._directory is None or self.found(at) == recovery:
            return
        self._write(at, msgspec.json.encode(_Kept(recovery=recovery, machine=_machine())))
        self._known[at] = recovery

    def forget(self, at: str) -> None:
        """Clear the saved state of a context."""
        if self._directory and self.found(at):
            self._write(at, b"")
        self._known[at] = None

    def _write(self, at: str, data: bytes) -> None:
        if self._directory is None:
            return
        try:
            file = os.open(self._file(self._directory, at), os.O_WRONLY | os.O_CREAT, 0o600)
            try:
                os.write(file, data.ljust(_BYTES) if len(data) <= _BYTES else b"".ljust(_BYTES))
            finally:
                os.close(file)
        except OSError as error:
            _log.warning("systems.%s: its next agent will not know where it rests: %s", self._system, error)

    def _read(self, at: str) -> Recovery | None:
        if self._directory is None:
            return None
        try:
            with self._file(self._directory, at).open("rb") as file:
                kept = decode_json(file.read(_BYTES), _Kept)
        except (OSError, Malformed):
            return None
        return kept.recovery if kept.machine == _machine() else None

    def _file(self, directory: Path, at: str) -> Path:
        return directory / f"{self._system}{f'.{at}' if at else ''}.json"


@cache
def _machine() -> str:
    try:
        return _BOOT.read_text().strip()
    except OSError:
        return ""
