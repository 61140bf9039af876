"""Takes, compares and restores snapshots of setpoints, from the console's copy of the present and as its users.

`restorer.py` carries a restore out; `service.py` is what the API uses.
"""
