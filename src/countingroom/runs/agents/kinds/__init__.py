"""The shipped kinds of agents (simulated, script, slow control, calibration), and `program.py`, which runs programs.
Start with `simulated.py`, the smallest one.
"""
