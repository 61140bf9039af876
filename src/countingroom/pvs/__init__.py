"""All points served as EPICS process variables, over Channel Access and PVAccess, so that Phoebus and `caget` see them.

Start with `table.py` (points to records) and `service.py`. `ioc_process.py` is the process with the server of EPICS;
`writer.py` makes commands of what its clients put.
"""
