"""Sends messages about alarms to people. `service.py` joins the parts: `notifier.py` plans messages and stores them in
the outbox, `deliveries.py` sends them with one worker for each channel, and `sender.py` is the port of a channel."""
