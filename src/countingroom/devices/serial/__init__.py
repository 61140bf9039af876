"""Serial lines that several devices share, with one request under way at a time.

Start with `line.py`; `pending_answers.py` recognises and ignores late replies.
"""
