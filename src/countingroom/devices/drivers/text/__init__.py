"""Instruments that answer a line of text with a line of text: SCPI and its relatives, described by a table.

Start with `description.py` (the table) and `driver.py` (one poll); `codec.py` converts texts to values.
"""
