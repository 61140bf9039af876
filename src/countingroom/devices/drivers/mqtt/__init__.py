"""Sensors that publish on an MQTT broker. The driver subscribes and never publishes.

Start with `driver.py`; `topics.py` assigns topics to points and payloads to values, `password.py` reads the password.
"""
