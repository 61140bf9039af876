"""The section `snapshots` of the description. The console takes and restores snapshots in the name of its user.

`core/snapshots` has the values and the plan of a restore, `console/snapshots` takes and restores them.
"""
