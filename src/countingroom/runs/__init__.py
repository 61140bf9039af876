"""Run control: drives partitions to their goals by orders to the agents of detectors and global systems.

Start with `planner/`, the pure decisions; `partition/` owns a partition and carries them out, `coordinator/` changes
the layout of the experiment, `agents/` control the systems, `monitor/` follows their states, `access/` checks
permissions.
"""
