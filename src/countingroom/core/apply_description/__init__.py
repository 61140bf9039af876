"""Compares an edited description with the stored things in the database, and plans how to apply it.

Start with `compare.py`, which makes the plan. `contents.py` has the values, `renames.py` the renaming by `was`.
"""
