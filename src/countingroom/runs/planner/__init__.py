"""Decisions of a partition as pure functions: from goal, reports and time to orders with reasons.

Start with `step.py`, the reducer, then `plan.py`.
"""
