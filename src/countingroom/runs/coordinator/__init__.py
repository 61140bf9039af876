"""What concerns the experiment as a whole: partitions and detectors created, deleted and moved.

Start with `coordinator.py`.
"""
