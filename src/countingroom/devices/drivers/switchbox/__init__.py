"""The switchbox that connects up to four of 48 channels to one low and one high voltage.

Start with `rules.py` (what may be switched now); `codec.py` holds the texts of the protocol, `serial_driver.py` and
`mqtt_driver.py` the two ways to the box.
"""
