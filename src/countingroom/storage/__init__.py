"""The SQL database: configurations, tags, partitions, the run book, accounts and the audit.

Every change is on disk (synced) before it is acknowledged. Start with `database.py`, which opens it; `engine.py` runs
the transactions, the `*tables.py` files and `migrations/` define the schema, and each other file is one repository.
"""
