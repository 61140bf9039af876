"""The control lease of a target: one user at a time is in control, and an idle holder loses it after a notice.

The key of the target is written with its expected revision: of two users who take it at the same moment one gets it.
Every holder has a token greater than those before, and a command given under an older token is refused. The key
outlives the process that writes it.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from countingroom.bus.port import Bus
from countingroom.core import subjects
from countingroom.core.admission import NOTHING_TO_DO
from countingroom.core.clock import Clock
from countingroom.core.errors import Conflict, CountingRoomError, OutOfRange
from countingroom.core.messages import encode
from countingroom.core.policy import Control
from countingroom.core.times import duration

IDLE_S = 1200.0
"""The lease ends after this time without a command of its holder."""

NOTICE_S = 60.0
"""The holder gets a notice this long before."""

_LOOK_S = 1.0
_RENEW_S = 5.0
"""The lease is renewed at most this often: each renewal is a write on the bus."""

Notify = Callable[[str, str], None]
"""(message, user): reports a change of the lease."""


class ControlLease:
    """The control lease of one target. Only the owner of the target has one."""

    def __init__(self, bus: Bus, clock: Clock, target: str, notify: Notify, *, idle_s: float = IDLE_S) -> None:
        self._bus = bus
        self._clock = clock
        self.target = target
        self._notify = notify
        self._idle_ns = round(idle_s * 1e9)
        self._key = subjects.control_key(target)
        self.revision = 0
        """Last known revision of the key."""
        self._noticed = False
        self.present = Control()

    async def load(self) -> None:
        """Read the present holder."""
        entry = await self._bus.get(subjects.STATE_BUCKET, self._key)
        self.present = Control()
        self.revision = entry.revision if entry else 0
        if entry and entry.data:
            where = f"$KV.{subjects.STATE_BUCKET}.{self._key}"
            self.present = self._bus.dead_letters.read(where, entry.data, Control) or Control()

    async def run(self) -> None:
        """Notify and end an idle holder, until cancelled."""
        while True:
            await self._clock.sleep(_LOOK_S)
            holder, left_ns = self.present.holder, self.present.until_ns - self._clock.now_ns()
            if not holder:
                continue
            if left_ns <= 0:
                try:
                    await self._write(Control(token=self.present.token))
                except CountingRoomError:
                    continue
                self._notify(f"{holder} is no longer in control of {self.target}: idle for too long", "")
            elif left_ns <= NOTICE_S * 1e9 and not self._noticed:
                self._noticed = True
                self._notify(
                    f"{holder} loses control of {self.target} in {duration(round(left_ns / 1e9))}, being idle", ""
                )

    async def take(self, by: str) -> None:
        """Make the user the holder; for the present holder, renew. The caller has checked the policy."""
        now_ns = self._clock.now_ns()
        if self.present.held(now_ns) and self.present.holder == by:
            await self._write(msgspec.structs.replace(self.present, until_ns=now_ns + self._idle_ns))
            return
        before = self.present.holder if self.present.held(now_ns) else ""
        await self._write(Control(holder=by, token=self.present.token + 1, until_ns=now_ns + self._idle_ns))
        taken = f", taken from {before}" if before else ""
        self._notify(f"{by} is in control of {self.target}{taken}", by)

    async def release(self, by: str) -> None:
        """End the lease of the user. Conflict (`nothing_to_do`) when it is free."""
        if not self.present.held(self._clock.now_ns()):
            raise Conflict(f"{self.target} is under the control of no user", code=NOTHING_TO_DO, suggestion="nothing")
        self._check_holder(by)
        await self._write(Control(token=self.present.token))
        self._notify(f"{by} gave up control of {self.target}", by)

    async def hand_over(self, by: str, to: str) -> None:
        """Transfer the lease to another user."""
        self._check_holder(by)
        if not subjects.is_token(to):
            raise OutOfRange(
                f"{to!r} is not the name of a user", code="wrong_argument", suggestion="give the name of a user"
            )
        until_ns = self._clock.now_ns() + self._idle_ns
        await self._write(Control(holder=to, token=self.present.token + 1, until_ns=until_ns))
        self._notify(f"{by} handed control of {self.target} over to {to}", by)

    async def request(self, by: str) -> None:
        """Notify the holder of the user's request; when the lease is free, take it."""
        if not self.present.held(self._clock.now_ns()):
            await self.take(by)
        else:
            self._notify(f"{by} asks {self.present.holder} for control of {self.target}", by)

    async def used(self, by: str) -> None:
        """Handle a command of the user: it takes a free lease and renews the user's own."""
        now_ns = self._clock.now_ns()
        held = self.present.held(now_ns)
        if held and (self.present.holder != by or self.present.until_ns - now_ns > self._idle_ns - _RENEW_S * 1e9):
            return
        await self.take(by)

    def _check_holder(self, by: str) -> None:
        if not self.present.held(self._clock.now_ns()) or self.present.holder != by:
            who = self.present.holder if self.present.held(self._clock.now_ns()) else "no user"
            raise Conflict(
                f"{who} is in control of {self.target}, not {by}",
                code="not_in_control",
                suggestion="take control first",
            )

    async def _write(self, control: Control) -> None:
        try:
            self.revision = await self._bus.put(
                subjects.STATE_BUCKET, self._key, encode(control), expected=self.revision
            )
        except Conflict:
            await self.load()
            raise
        self.present = control
        self._noticed = False
