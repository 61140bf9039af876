"""Law: an address is known to be free before anything is started; one that is taken is told with one that is not."""

from __future__ import annotations

import socket

from countingroom.core.errors import ConfigurationError


def listen(host: str, port: int) -> socket.socket:
    """The console's socket; ConfigurationError with a free port where this one is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        with socket.create_server((host, 0), family=family) as other:
            free = other.getsockname()[1]
        raise ConfigurationError(
            f"the console cannot listen on {host}:{port}: {error.strerror}",
            source="--port",
            suggestion=f"stop what uses that port, or choose another: --port {free}",
            code="port_in_use",
        ) from error
