"""Replay: what alarms would have done on what was recorded. Read `run.py` first, then `alarm_replay.py`.

It has no second copy of any rule: it gives what was recorded to the evaluation and the book of the alarm engine.
"""
