"""Commands of the experiment as a whole: partitions and detectors are created, deleted and moved.

Start with `coordinator.py`; `move_transaction.py` moves detectors.
"""
