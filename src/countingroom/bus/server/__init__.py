"""The embedded NATS server: its program, its configuration file and its process.

Start with `server.py`, which starts, supervises and stops it.
"""
