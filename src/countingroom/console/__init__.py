"""The console: the HTTP API, the live feed, the pages, and the login in front of them.

It reads the bus and the database and acts only by commands on the bus; it imports no other department. Start with
`app.py`, which puts it together; `context.py` names what every handler can use.
"""
