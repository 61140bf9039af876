"""Slow control: drivers implement hardware protocols, behaviours define states and commands, the host runs both.

Start with `port.py` (what a driver provides), then `host/host.py`. `description.py` is the section in
`experiment.yaml`, `registry.py` makes a device from it, and `resources.py` holds what several drivers share.
"""
