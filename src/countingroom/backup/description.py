"""The section `backup` of the description: when backups are made, where, how many are kept, for which key."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pydantic import Field

from countingroom.core.rules.repeated_times import RepeatedTimes
from countingroom.core.yaml.secret_reference import SecretReference
from countingroom.core.yaml.section import Seconds, Section

Problem = tuple[tuple[str | int, ...], str]


class KeepSection(Section):
    """How many backups are kept; others of this experiment in the folder are removed after a new one is made."""

    last: int = Field(default=7, ge=1, le=10_000)
    """The newest ones."""
    daily: int = Field(default=14, ge=0, le=10_000)
    """The newest of each of so many days (UTC)."""
    weekly: int = Field(default=8, ge=0, le=10_000)
    """The newest of each of so many weeks."""


class BackupSection(Section):
    """Backups of everything, made while the experiment runs."""

    folder: Path | None = None
    """Where they are written, better on another disk; `backups` in the data folder where it is not given."""
    every: Seconds | None = Field(default=None, ge=60)
    """Time from one backup to the next, such as `1 d`; only on request where neither this nor `at` is given."""
    at: str = ""
    """Instead: times in the five fields of cron, such as `30 3 * * *`."""
    zone: str = "UTC"
    """The time zone of `at`, such as `Europe/Berlin`."""
    keep: KeepSection = KeepSection()
    key: SecretReference | None = None
    """Where a key of age is, for which backups are encrypted: `{ file: … }` or `{ env: … }`. A public key is enough."""
    secrets: bool = False
    """Whether the files with passwords and private keys that the description names are in the backups. Needs `key`."""
    check: bool = True
    """Whether each backup is restored into an empty folder and compared."""

    @property
    def in_use(self) -> bool:
        """No role is started for it: `up` itself makes backups."""
        return False

    @property
    def is_scheduled(self) -> bool:
        """Whether backups are made without a request."""
        return self._times.is_given

    def next_ns(self, after_ns: int) -> int:
        """When the backup after this time is due."""
        return self._times.next_ns(after_ns)

    @property
    def _times(self) -> RepeatedTimes:
        return RepeatedTimes(every_s=self.every or 0.0, at=self.at, zone=self.zone)

    def problems(self) -> Iterator[Problem]:
        """Keys that contradict each other."""
        if self.folder and not self.folder.is_absolute():
            yield ("folder",), "give an absolute path: it is used by processes in other folders"
        if self.every and self.at:
            yield ("at",), "give every or at, one of both"
        if self.secrets and self.key is None:
            yield ("secrets",), "secrets are only written into an encrypted backup: give key too"
        if wrong := self._times.problem():
            yield ("at",), wrong
