"""SECoP nodes (frappy and others), which describe themselves: `countingroom secop describe` writes their section.

Start with `structure.py` (what a node says of its parameters) and `driver.py`; `connection.py` speaks the protocol.
"""
