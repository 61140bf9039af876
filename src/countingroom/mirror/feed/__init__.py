"""The feed: from the bus inside to the public store outside, one way. Read collector.py and sender.py first."""
