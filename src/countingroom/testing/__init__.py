"""Fakes for tests: a clock and a device. They are part of the package for authors of plug-ins; only tests import them.

Start with `clock.py`, the clock that a test advances; `fake_device.py` is a device with driver and behaviour.
"""
