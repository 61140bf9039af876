"""Interlocks as causes and effects. Read `specs.py` first, then `chart.py`: the pure step that decides.

The same functions decide in the alarm department, in a device host, in `countingroom check` and in a replay.
"""
