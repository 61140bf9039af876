"""Values and rules that all departments share: points, readings, commands, errors, roles. No I/O.

Start with `messages.py` (what travels on the bus) and `errors.py` (`Cause` and the exception tree). The package imports
no other package of countingroom.
"""
