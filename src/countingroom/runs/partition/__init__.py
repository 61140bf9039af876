"""One partition and the process that owns it by lease.

Start with `owner.py`; the decisions are in `../planner`.
"""
