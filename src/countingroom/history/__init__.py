"""The history department: time series of all points, in a store, with rollups, retention and queries.

Read port.py first (what a store is), then service.py. writer.py carries readings from the bus to the store, exactly
once; rollup.py and retention.py say how often sums are made and what is kept how long; query_answers.py answers.
"""
