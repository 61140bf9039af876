"""One serial line shared by the questions sent over it.

Start with `line.py`.
"""
