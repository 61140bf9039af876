"""Snapshots of setpoints: what they hold, comparison, the plan of a restore and its progress. All without I/O.

Read `values.py` first, then `restore_plan.py`.
"""
