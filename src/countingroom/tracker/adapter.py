"""The topics of the tracker DCS, as the process at the broker needs them. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from html import escape

from countingroom.core.errors import Cause
from countingroom.core.messages import Catalogue
from countingroom.mqtt.messages import Incoming, Publication, printable, shown
from countingroom.mqtt.orders import Asked
from countingroom.tracker import documents, orders
from countingroom.tracker.facts import TrackerFacts
from countingroom.tracker.outgoing import TrackerMessages

DEPARTMENT = "tracker"


class TrackerAdapter(TrackerMessages):
    """Publishes the documents of the tracker DCS, and turns messages into commands. Messages are not retained."""

    def __init__(self, facts: TrackerFacts, now_s: float) -> None:
        super().__init__(facts, now_s)
        self._facts = facts

    @property
    def department(self) -> str:
        """Its name, as in events."""
        return DEPARTMENT

    @property
    def devices(self) -> Collection[str]:
        """All behind any topic."""
        return self._facts.devices

    @property
    def topics(self) -> Sequence[str]:
        """Those of commands."""
        return orders.subscriptions(self._facts)

    def will(self) -> Publication | None:
        """One topic can be told."""
        if self._facts.caen:
            return Publication(topic="dcs/status", payload=b'{"fsm_state":"DISCONNECTED"}')
        if self._facts.marta:
            return Publication(topic="MARTA/status", payload=b'{"fsm_state":"DISCONNECTED"}')
        return None

    def catalogue(self, device: str, catalogue: Catalogue | None) -> bool:
        """The topics do not depend on it."""
        return False

    def begin(self) -> None:
        """Publish everything."""
        self.refresh()

    def farewell(self, now_s: float) -> list[Publication]:
        """All devices are disconnected."""
        self.bus(is_there=False, now_s=now_s)
        self.refresh()
        return self.due(float("inf"))

    def shown_state(self, device: str) -> str:
        """The state of a device, as it is published."""
        return self.views[device].state()

    def hear(self, message: Incoming) -> bool:
        """All messages are commands."""
        return False

    def asked(self, message: Incoming) -> Asked:
        """The command that a dashboard asks for. RequestError if its target does not exist or it is unclear."""
        return orders.asked(self._facts, message.topic, message.payload)

    def kind_of(self, topic: str) -> str:
        """Key of the section: `caen`."""
        return orders.kind_of(topic)

    def error(self, message: Incoming, cause: Cause) -> Publication:
        """A document on the error topic of the device."""
        # Dashboards show it as HTML, and parts of it are what somebody sent.
        document = {
            "topic": escape(printable(message.topic[:200])),
            "payload": escape(shown(message)),
            "code": cause.code,
            "cause": escape(cause.message),
            "suggestion": escape(cause.suggestion),
        }
        return Publication(topic=orders.error_topic(message.topic), payload=documents.encoded(document))
