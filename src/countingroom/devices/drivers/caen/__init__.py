"""Low and high voltage of detector modules from a CAEN mainframe. One channel is the LV and HV output of one module.

Start with `behaviour.py` (states and commands); `setpoint_rules.py` says which values may be written now.
"""
