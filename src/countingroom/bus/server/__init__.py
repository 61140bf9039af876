"""The embedded NATS server: its program file, its configuration and its process.

Start with `server.py`, which starts, watches and stops it.
"""
