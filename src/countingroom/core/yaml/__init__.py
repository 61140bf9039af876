"""The description as YAML with the place of every value, so that each error names its file and line.

Start with `located.py`; `section.py` is the base of every section of the description.
"""
