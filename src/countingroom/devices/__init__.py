"""Slow control: drivers speak the protocols of the hardware, behaviours hold states and commands, the host runs them.

Start with `port.py` (what a driver provides), then `host/host.py`. `description.py` is the section in
`experiment.yaml`, `registry.py` makes a device from it, and `resources.py` holds what several drivers share.
"""
