"""A device without hardware: its points are computed from points of other devices.

Read `driver.py` first; what is computed is in `core/derived/evaluation.py`.
"""
