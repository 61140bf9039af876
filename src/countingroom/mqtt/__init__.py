"""What departments share that publish to an MQTT broker and take commands from it: connection, schedule, commands.

Start with service.py, the process of such a department; adapter.py says what the department itself brings. broker.py is
the connection, schedule.py decides when a topic is published, and commander.py sends commands to the devices.
"""
