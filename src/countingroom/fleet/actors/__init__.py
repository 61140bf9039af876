"""Services that speak the actor protocol: one connection to each instance, and commands to many of them at once.

Read `client.py` first.
"""
