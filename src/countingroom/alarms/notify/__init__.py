"""Sends messages about alarms to people. `deliveries.py` is the whole of it, with a worker for each channel;
`sender.py` is the port of a channel, with mail, webhook and Apprise beside it."""
