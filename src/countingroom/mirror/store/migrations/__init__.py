"""The migrations of the public store, a chain of its own. A released migration is never changed."""
