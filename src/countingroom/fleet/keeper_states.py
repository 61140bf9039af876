"""What the keeper of the fleet tells: published states, the last steps of each service, events about changes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping

from countingroom.core.clock import Clock
from countingroom.core.errors import Cause
from countingroom.core.fleet.observed import Observed
from countingroom.core.fleet.record import FleetRecord, Phase
from countingroom.core.fleet.resolver import Resolvers
from countingroom.core.fleet.specs import Revision, WantedNode
from countingroom.core.fleet.states import FLEET_KEY, FleetState, NodeState, ServiceState, node_key, service_key
from countingroom.fleet.node import Node
from countingroom.fleet.published import ServiceStates, node_state
from countingroom.fleet.reconciler.actions import Delay

Publish = Callable[[str, NodeState | ServiceState | FleetState | None], None]
"""Publishes a state under a key; None deletes it."""
Tell = Callable[[str, str, Cause | None], None]
"""Records an event: service or node, sentence, and why it is bad."""
_LINES = 30
"""Of the log of a service that are published."""


class KeeperStates:
    """Publishes what has changed, and only that."""

    def __init__(
        self, clock: Clock, publish: Publish, tell: Tell, titles: Mapping[str, str], resolvers: Resolvers, *, name: str
    ) -> None:
        """`name`: of this process. `resolvers`: what was resolved before; it only saves time."""
        self._clock = clock
        self._publish = publish
        self._tell = tell
        self._titles = titles
        self._resolvers = resolvers
        self._name = name
        self._logs: dict[str, deque[str]] = {}
        self._published: dict[str, NodeState | ServiceState | FleetState] = {}

    def note(self, service: str, sentence: str) -> None:
        """Keep a step for the page of its service."""
        self._logs.setdefault(service, deque(maxlen=_LINES)).append(f"{self._clock.now_ns()} {sentence}")

    def line(self, sentence: str) -> None:
        """What a node did: it is kept for the page of its service, and recorded."""
        service = sentence.partition("@")[0] if "@" in sentence.partition(":")[0] else ""
        if service:
            self.note(service, sentence)
        self._tell(service, sentence, None)

    def phases(self, before: FleetRecord, after: FleetRecord) -> None:
        """Tell which changes have come to an end, or are given up."""
        for name, change in after.changes.items():
            old = before.changes.get(name)
            if old is None or (old.phase, old.target) == (change.phase, change.target):
                continue
            said = {
                Phase.DONE: f"r{change.target} is in place",
                Phase.ROLLING_BACK: f"r{change.target} failed; going back to r{change.fallback}",
                Phase.ROLLED_BACK: f"back to r{change.fallback}",
                Phase.FAILED: f"r{change.target} failed, and nothing more is changed",
            }.get(change.phase)
            if said:
                self.note(name, said)
                is_bad = change.phase in (Phase.ROLLING_BACK, Phase.FAILED)
                self._tell(name, f"{name}: {said}", change.cause if is_bad else None)

    def publish(
        self,
        record: FleetRecord,
        revisions: Mapping[int, Revision],
        observed: Observed,
        nodes: Mapping[str, Node],
        wanted: Mapping[str, WantedNode],
        waiting: Iterable[Delay],
    ) -> None:
        """Publish the states that have changed."""
        doing = {id: kind.value for node in nodes.values() for id, kind in node.busy.items()}
        services = ServiceStates(record, revisions, observed, doing, waiting, self._titles, self._resolvers).all(
            {name: tuple(lines) for name, lines in self._logs.items()}
        )
        states: dict[str, NodeState | ServiceState | FleetState] = {
            service_key(name): state for name, state in services.items()
        }
        for name, node in observed.nodes.items():
            one = nodes[name]
            states[node_key(name)] = node_state(node, wanted[name], one.facts, record, one.reboot)
        for key in self._published.keys() - states.keys() - {FLEET_KEY}:
            self._published.pop(key)
            self._publish(key, None)
        for key, state in states.items():
            self._publish_changed(key, state)
        self.publish_fleet(record, revisions, None)

    def publish_fleet(self, record: FleetRecord, revisions: Mapping[int, Revision], cause: Cause | None) -> None:
        """Publish the state of the whole. `cause`: why nothing is done at all."""
        revision = revisions.get(record.revision)
        self._publish_changed(
            FLEET_KEY,
            FleetState(
                revision=record.revision,
                by=revision.by if revision else "",
                time_ns=revision.time_ns if revision else 0,
                comment=revision.comment if revision else "",
                keeper=self._name,
                cause=cause,
            ),
        )

    def _publish_changed(self, key: str, state: NodeState | ServiceState | FleetState) -> None:
        if self._published.get(key) != state:
            self._published[key] = state
            self._publish(key, state)
