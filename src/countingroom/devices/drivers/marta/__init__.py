"""The MARTA CO2 cooling plant, over Modbus TCP.

Start with `behaviour.py` (states, commands, alarm reset); `table.py` is the register table, `alarms.py` the texts.
"""
