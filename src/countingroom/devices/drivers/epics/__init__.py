"""Devices behind a Channel Access server, described by a table of process variables.

Start with `driver.py`; `access.py` is the only file that uses the client library, `convert.py` makes samples.
"""
