"""Interlocks in the alarm department: evaluation, trips, effects. Read `described.py` first, then
`interlock_keeper.py`."""
