"""The public store: a database of its own that holds nothing but what may leave.

`store.py` writes and takes redacted values only; `reader.py` reads, over connections that cannot write.
"""
