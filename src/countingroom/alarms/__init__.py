"""The alarm department. It alone decides which conditions are alarms. Read `description.py` first, then
`engine/service.py`."""
