"""Interlocks inside a device host: evaluated on its own readings, acting without the bus. Read `interlock_host.py`
first."""
