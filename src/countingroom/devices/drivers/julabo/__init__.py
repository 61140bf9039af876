"""The Julabo circulator (chiller), read and commanded over its serial line.

Start with `driver.py`; `codec.py` holds the bytes of the protocol, `behaviour.py` the states and commands.
"""
