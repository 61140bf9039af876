"""Simulators of the devices. They speak the real protocols and import no driver.

Start with `port.py` (what a simulator provides) and `run.py` (the child process); each device then has one file for its
protocol and one for its physics.
"""
