"""The listening socket of the console. A port in use is an error that suggests a free port.

`up` tries the port before it starts any process.
"""

from __future__ import annotations

import socket

from countingroom.core.errors import ConfigurationError


def listen(host: str, port: int) -> socket.socket:
    """Open the socket. Raises ConfigurationError, with a free port as suggestion, when this one is in use."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        server = socket.create_server((host, port), family=family)
    except OSError as error:
        with socket.create_server((host, 0), family=family) as other:
            free = other.getsockname()[1]
        raise ConfigurationError(
            f"the console cannot listen on {host}:{port}: {error.strerror}",
            source="--port",
            suggestion=f"stop what uses that port, or choose another: --port {free}",
            code="port_in_use",
        ) from error
    # The connections inherit it. Without it the body of an answer waits until the browser acknowledges the head, which
    # takes 40 ms; asyncio sets it only for sockets that were made with the protocol TCP by name.
    server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return server
