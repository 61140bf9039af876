"""Conditions of alarms: when a value, a quality or a state is abnormal. Read `specs.py` first, then `kinds.py`.

The alarm department, device hosts and replays use the same functions.
"""
