"""Snapshots of setpoints: the section of the description. They are taken and restored by the console, as its user.

What a snapshot is and the plan of a restore are in `core/snapshots`; the work is in `console/snapshots`.
"""
