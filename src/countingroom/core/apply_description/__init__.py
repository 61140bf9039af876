"""What the description says about stored things, compared with the database after the description was edited.

Start with `compare.py`, which makes the plan. `contents.py` has the values, `renames.py` the renaming by `was`.
"""
