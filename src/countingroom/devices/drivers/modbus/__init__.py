"""Law: a device described by its register table alone, over Modbus TCP.

description.py (the table), codec.py (words and bits), points.py (table to points), link.py (the only file that knows
the library), driver.py (the four verbs).
"""
