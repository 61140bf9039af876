"""The alarm engine: it follows the bus, decides what is abnormal, and publishes the state of each alarm.

Read `service.py` first, then `book.py`. What is abnormal is decided in `evaluation.py`, by `device_alarms.py`,
`partition_alarms.py`, `role_alarms.py`; what follows from what by `folding.py`.
"""
