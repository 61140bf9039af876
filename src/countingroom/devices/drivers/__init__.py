"""The drivers that ship, one folder for each kind of hardware: description, driver, state tables and commands.

Start with `../port.py`, what every driver provides, and `modbus/`, the smallest complete driver.
"""
