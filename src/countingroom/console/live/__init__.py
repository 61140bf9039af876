"""The live feed: one snapshot, then numbered changes, to every page that is open.

Start with `feed.py`.
"""
