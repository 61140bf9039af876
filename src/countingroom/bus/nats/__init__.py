"""The bus on a NATS server with JetStream. Start with `bus.py`: `connect` opens it, `NatsBus` is the port's adapter."""

from countingroom.bus.nats.bus import connect

__all__ = ["connect"]
