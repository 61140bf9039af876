"""The device host: it connects devices, publishes readings and states, and carries out commands.

Start with `host.py`, then `device.py`, which holds one device.
"""
