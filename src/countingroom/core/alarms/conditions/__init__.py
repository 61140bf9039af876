"""Conditions of alarms: when a value, a quality or a state is abnormal. Read `specs.py` first, then `kinds.py`.

The same functions decide in the alarm department, in a device host, and in a replay of recorded readings.
"""
