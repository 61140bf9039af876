"""Messages that tell people of alarms outside the console. `messages.py` is what is sent and what is known of it."""
