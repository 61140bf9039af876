"""Boards that publish on an MQTT broker, and take setpoints from it.

Start with `driver.py`; `topics.py` assigns topics to points, `payloads.py` converts payloads and setpoints, and
`password.py` reads the password.
"""
