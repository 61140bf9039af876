"""Asks a server on this computer whether it answers: the health check of a container."""

from __future__ import annotations

import ssl
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

from countingroom.console.description import is_loopback
from countingroom.core.errors import ConfigurationError, LinkError


def answer(url: str, patience_s: float) -> str:
    """The answer of the server as text. LinkError if it does not answer or fails, ConfigurationError for
    an address of another computer."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme not in ("http", "https") or not is_loopback(host):
        raise ConfigurationError(f"{url!r} is no address of this computer: http://127.0.0.1:PORT/PATH", source="probe")
    if parts.scheme == "https":
        # The certificate is for the name by which browsers reach it; this question does not leave the computer.
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        link: HTTPConnection = HTTPSConnection(host, parts.port, timeout=patience_s, context=context)
    else:
        link = HTTPConnection(host, parts.port, timeout=patience_s)
    try:
        link.request("GET", parts.path or "/", headers={"User-Agent": "countingroom-probe"})
        status = link.getresponse().status
    except (OSError, HTTPException) as error:
        raise LinkError(f"{url} does not answer: {error}", source="probe") from error
    finally:
        link.close()
    if status >= 400:
        raise LinkError(f"{url} answers with the status {status}", source="probe")
    return f"{url} answers"
