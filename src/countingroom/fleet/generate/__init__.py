"""Services of the fleet as files of other systems: systemd, Quadlet, Kubernetes. Pure."""
