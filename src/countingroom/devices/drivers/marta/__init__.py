"""Law: the MARTA CO2 plant: a Modbus register table that has states, commands and alarms.

description.py (what a person writes), names.py (what a register's name says), alarms.py (texts), driver.py (the table
with the alarms as one text), behaviour.py (states and commands).
"""
