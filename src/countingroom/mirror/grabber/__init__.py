"""The grabber: reads the documents of upstreams of the DQM^2 kind into the public store. Start with host.py."""
