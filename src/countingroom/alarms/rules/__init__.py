"""Rules of the description: conditions, times and events that lead to commands. Read `evaluation.py` first: it decides
when a rule acts, live and in a replay."""
