"""The command line `countingroom`. Every command except `up`, `serve` and `simulate` is a client of the HTTP API.

Start with `main.py`, the list of commands; `client.py` holds the HTTP client.
"""
