"""Why a connection failed, in the words of the system. asyncio writes `Connect call failed ('127.0.0.1', 22)` there."""

from __future__ import annotations

import os
import re
import ssl

_NUMBER = re.compile(r"\[Errno (\d+)\]")


def os_words(error: OSError) -> str:
    """`Connection refused`; of several addresses that were tried the reason of the first."""
    # The numbers of TLS are its own, and those of the resolver are negative: both have words of their own.
    if error.errno is not None and error.errno > 0 and not isinstance(error, ssl.SSLError):
        return os.strerror(error.errno)
    found = _NUMBER.search(str(error))
    return os.strerror(int(found[1])) if found else error.strerror or str(error) or type(error).__name__
