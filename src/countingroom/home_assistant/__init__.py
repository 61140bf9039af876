"""Points and commands as entities of Home Assistant, found by its MQTT discovery.

Start with entities.py, which makes them of the catalogue of a device; adapter.py says what is published when, and what
messages ask for. The process, the connection and the way of commands are those of the package `mqtt`.
"""
