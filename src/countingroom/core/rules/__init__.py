"""Rules: slow logic that acts by itself when a condition becomes true, at a time, or after an event. All of it is pure.
Read `step.py` first: the state table of one rule; `specs.py` says what a rule is."""
