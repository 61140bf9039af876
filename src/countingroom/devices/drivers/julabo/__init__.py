"""Law: the Julabo circulator, read and commanded over its serial line.

description.py (what a person writes), codec.py (bytes), driver.py (the four verbs), behaviour.py (states, commands).
"""
