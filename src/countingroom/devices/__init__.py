"""Law: slow control. Drivers speak protocols, behaviours are pure, the device host owns every loop between them.

The story in order: description.py (what a person writes), port.py (what a driver is), behaviour.py (what states and
commands are), host.py and its rooms (stamping, quality, deadband, reconnection, commands), then one folder a driver.
"""
