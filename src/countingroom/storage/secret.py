"""Law: what proves somebody is random and leaves the database never: only its digest is kept."""

from __future__ import annotations

import secrets
from hashlib import sha256


def token() -> str:
    """A new secret of 256 bits, for a cookie or a link."""
    return secrets.token_urlsafe(32)


def digest(token: str) -> str:
    """What is kept of it. The secret is random, so a fast hash is safe."""
    return sha256(token.encode()).hexdigest()
