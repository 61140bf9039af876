"""The alarm engine: it follows the bus, evaluates the conditions of all alarms, and publishes the state of each alarm.

Read `service.py` first, then `book.py`. `evaluation.py` evaluates the conditions, with `device_alarms.py`,
`partition_alarms.py` and `role_alarms.py`. `folding.py` finds which alarm is the consequence of which.
"""
