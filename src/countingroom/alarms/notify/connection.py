"""The connection of one try; another thread can end it at the deadline.

The time-out of a socket holds for each single step, so a server that sends one byte from time to time would keep a
thread for ever.
"""

from __future__ import annotations

import socket
import threading
from contextlib import suppress


class TryConnection:
    """At most one connection at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._copy: socket.socket | None = None
        self._is_aborted = False

    def begin(self) -> None:
        """Begin a new try."""
        with self._lock:
            self._is_aborted = False

    def open(self, host: str, port: int, timeout_s: float) -> socket.socket:
        """Open a TCP connection. OSError if it fails, TimeoutError if the try was aborted in the meantime."""
        connection = socket.create_connection((host, port), timeout_s)
        with self._lock:
            if self._is_aborted:
                connection.close()
                raise TimeoutError("the try took too long")
            # `wrap_socket` takes over the file descriptor of the socket; a duplicate can still end the connection.
            self._copy = connection.dup()
        return connection

    def end(self) -> None:
        """End the try and forget its connection."""
        with self._lock:
            if self._copy is not None:
                self._copy.close()
            self._copy = None

    def abort(self) -> None:
        """End the connection, from another thread: the try then fails at once."""
        with self._lock:
            self._is_aborted = True
            if self._copy is not None:
                with suppress(OSError):  # it has ended already
                    self._copy.shutdown(socket.SHUT_RDWR)

    @property
    def is_aborted(self) -> bool:
        """Whether the try was ended at its deadline."""
        return self._is_aborted
