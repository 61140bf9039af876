"""Law: the SQL database: what may never be lost is here, synced, before it is acknowledged."""
