"""Backup and restore: everything of an experiment at one moment in time, in one file, while it runs.

Start with take.py, which makes a backup, and restore.py, which makes a folder of it. container.py is the file format,
contents.py the table of what is in a backup and how each part is copied.
"""
