"""The heartbeat to an outside service, which alerts people when the heartbeat stops. So people learn of it if this
control system itself fails.

It does not use the outbox, because an old heartbeat is useless. It is not sent while the department is not ready: if
alarms do not reach people, people must look at the experiment too.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from countingroom.alarms.notify.deadline_thread import DeadlineThread
from countingroom.alarms.notify.http_post import HttpPost, http_address
from countingroom.alarms.notify.sender import Delivery, TryOutcome, refused
from countingroom.alarms.notify.server_text import without_secrets
from countingroom.alarms.notify.worker import failure
from countingroom.alarms.sections.notify_channels import HeartbeatSection
from countingroom.core.clock import Clock
from countingroom.core.errors import ConfigurationError
from countingroom.core.retry import edge_log
from countingroom.core.yaml.secret_reference import SecretReference, revealed

_log = logging.getLogger(__name__)

SOURCE = "alarms.notify.heartbeat"
TIMEOUT_S = 10.0


class OutsideHeartbeat:
    """Sends the heartbeats. `run` until cancelled."""

    def __init__(self, section: HeartbeatSection, clock: Clock, troubles: Callable[[], Sequence[str]]) -> None:
        """`troubles`: why the department is not ready, one sentence each."""
        self._section = section
        self._clock = clock
        self._troubles = troubles
        self._http = HttpPost(TIMEOUT_S, section.tls_ca)
        self._thread = DeadlineThread("notify-heartbeat", clock, TIMEOUT_S, self._http.abort)
        self._report = edge_log(
            _log,
            "alarms: the heartbeat to the outside is not sent",
            "alarms: the heartbeat to the outside is sent again",
        )

    @property
    def is_failing(self) -> bool:
        """Whether the last heartbeat was not sent or not accepted."""
        return self._report.is_failing

    async def run(self) -> None:
        """Send heartbeats until cancelled."""
        while True:
            began_s = self._clock.monotonic()
            troubles = self._troubles()
            found = refused(f"the department is not ready: {troubles[0]}") if troubles else await self.beat()
            if found.outcome is TryOutcome.ACCEPTED:
                self._report.worked()
            else:
                self._report.failed(failure("heartbeat", found))
            await self._clock.sleep(self._section.every - (self._clock.monotonic() - began_s))

    async def beat(self) -> Delivery:
        """Send one heartbeat and return the result."""
        return await self._thread.run(self._post)

    def _post(self) -> Delivery:
        given = self._section.address
        try:
            written = revealed(given, SOURCE)
        except ConfigurationError as error:
            return refused(error.cause.message)
        address = http_address(written)
        if address is None:
            return refused("the address is none of HTTP, or has a user and password in it")
        found = self._http.post(address, {"User-Agent": "countingroom"}, b"", lambda: True)
        secrets = (written, address.path) if isinstance(given, SecretReference) else ()
        return Delivery(outcome=found.outcome, text=without_secrets(found.text, secrets))
