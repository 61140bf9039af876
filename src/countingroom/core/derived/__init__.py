"""Calibrated and derived points: values that are computed from other values. Pure.

`calibration.py` corrects the value of one point, `filters.py` smooths values, `evaluation.py` computes expressions over
points. Read `evaluation.py` first.
"""
