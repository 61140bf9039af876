"""Interlocks in the alarm department. Read `described.py` first, then `engine.py`."""
