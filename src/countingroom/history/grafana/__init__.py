"""Provisioning files for Grafana: dashboards and data sources, made from the points of devices and the stores of the
history. dashboards.py makes a dashboard of a device, panels.py its panels, sources.py what asks each kind of store.
"""
