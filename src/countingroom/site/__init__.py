"""The public site of the mirror: a process that reads the public store and nothing else. Read application.py first.

It has no bus, no secrets of the inside and no way to command anything. `routes.py` is the table of all its addresses.
"""
