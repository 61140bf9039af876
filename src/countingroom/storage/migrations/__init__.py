"""The migrations of the database schema (alembic). A released migration is never changed.

Start with `versions/`, one file per step.
"""
