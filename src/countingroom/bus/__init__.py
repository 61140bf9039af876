"""Law: one port carries everything; nats.py and memory.py stand behind it and cannot be told apart."""
