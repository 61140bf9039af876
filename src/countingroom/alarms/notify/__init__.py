"""Tells people of alarms. `service.py` joins the parts: `notifier.py` plans messages and stores them in the outbox, and
`deliveries.py` sends them, with a worker for each channel; `sender.py` is the port of a channel."""
