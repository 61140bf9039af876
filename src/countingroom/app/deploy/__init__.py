"""Files that run the whole product elsewhere: an image, Compose, Quadlet, Kubernetes, systemd. Begin at plan.py."""
