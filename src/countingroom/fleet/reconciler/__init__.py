"""Decides what to do to the fleet: from what is wanted, what is seen and what is remembered. Pure."""
