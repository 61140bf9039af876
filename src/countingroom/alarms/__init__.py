"""The alarm department: it alone says what is abnormal. Read `description.py` first, then `engine/service.py`."""
