"""Engines: what runs instances on a node. One port (`port.py`), an adapter for each kind."""
