"""Law: what changed is remembered until it is taken; a thing that changed often is remembered once."""

from __future__ import annotations

from msgspec import Struct, field


class Changed(Struct, kw_only=True):
    """What changed since the last time it was taken."""

    points: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    """Device -> its points with news."""
    states: set[str] = field(default_factory=set[str])
    """Keys of device and channel states that changed or went away."""
    words: set[str] = field(default_factory=set[str])
    """Keys of what run control says that changed or went away."""
    catalogues: set[str] = field(default_factory=set[str])
    """Devices whose catalogue changed or went away."""
    alive: set[str] = field(default_factory=set[str])
    """Devices, and keys of partitions, that began or ceased to be answered for."""

    def __bool__(self) -> bool:
        return bool(self.points or self.states or self.words or self.catalogues or self.alive)


class Changes:
    """One follower's memory of what changed. Bounded by the number of things there are."""

    def __init__(self) -> None:
        self.changed = Changed()

    def take(self) -> Changed:
        """What changed since the last call."""
        taken, self.changed = self.changed, Changed()
        return taken
