"""The MQTT topics of the tracker DCS, out and in, for dashboards and Telegraf files that were written for it.

Start with outgoing.py, which decides what is published when; documents.py makes the payloads from what device_view.py
holds. service.py is the role, and broker.py its connection to the broker.
"""
