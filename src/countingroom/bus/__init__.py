"""The message bus: its port, the adapters for NATS and for memory, and what every process needs on top of it.

Start with `port.py`, which defines what a bus promises; `nats/` and `memory/` implement it and pass the same contract
tests.
"""
