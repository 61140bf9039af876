"""One partition and the process that owns it by lease: its commands, runs, orders and published state.

Start with `owner.py`, the main loop, and `standby.py`, the takeover from a dead owner; the decisions are in
`../planner`.
"""
