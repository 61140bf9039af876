"""Why a node or a port is not reached is told in the words of the system."""

from __future__ import annotations

import errno
import socket
import ssl

import pytest

from countingroom.fleet.os_words import os_words

_CALL = "[Errno 111] Connect call failed ('127.0.0.1', 1)"
_BOTH = f"Multiple exceptions: {_CALL}, {_CALL}"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ECONNREFUSED, "Connect call failed ('127.0.0.1', 1)"), "Connection refused"),
        (OSError(_BOTH), "Connection refused"),
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "Name or service not known"),
        (ssl.SSLCertVerificationError(1, "certificate verify failed"), "certificate verify failed"),
        (ConnectionResetError(), "ConnectionResetError"),
    ],
)
def test_a_failed_connection_has_the_words_of_the_system(error: OSError, said: str) -> None:
    assert os_words(error) == said
