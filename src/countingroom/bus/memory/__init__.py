"""The bus inside one process, with the semantics of the NATS bus. Tests run on it.

Start with `bus.py`, the adapter of the port; `server.py` holds the state that all clients share.
"""
