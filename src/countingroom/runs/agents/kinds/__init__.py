"""The kinds of agent that ship: simulated, script, program, slow control, calibration.

Start with `simulated.py`, the smallest.
"""
