"""The actor protocol of SDSS (CLU): lines of commands and replies in the legacy and the JSON form.

Read `messages.py` first, then `legacy.py` and `json_lines.py`.
"""
