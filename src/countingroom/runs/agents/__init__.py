"""Law: an agent is a small process around one system: orders in, states out, and the system's own work between.

The story in order: port.py (what a person writes), context.py (what an agent knows, hears and does), orders.py and
reducer.py (what it decides), shell.py (how it does it), then those that come ready made, and host.py, which runs many.
"""
