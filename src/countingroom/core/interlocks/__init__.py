"""Interlocks as causes and effects. Read `specs.py` first, then `chart.py`, which has the pure step of an interlock.

The same functions decide in the alarm department, in a device host, in `countingroom check` and in a replay.
"""
