"""Replay: shows what alarms, rules and interlocks would have done with recorded data. Read `run.py` first, then
`alarm_replay.py`.

It uses the evaluation and the book of the alarm engine, not a copy of them.
"""
