"""State machines as tables: reading, checking, drawing, and combining the states of several of them.

Start with `chart.py`, the state machine itself; `table.py` reads the files.
"""
