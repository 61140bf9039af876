"""Law: the SQL database: what may never be lost is here, synced, before it is acknowledged.

The story in order: database.py (the one door), engine.py (how writing is one after the other), *tables.py (the schema)
and migrations/ (how a database gets it), then a room a repository.
"""
