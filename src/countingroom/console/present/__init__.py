"""How values, states, alarms and events are presented: pure views of the latest known state.

Start with `latest.py`, the console's copy of what is on the bus.
"""
