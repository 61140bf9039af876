"""Secrets of sessions, links and tokens. The database stores only their digest."""

from __future__ import annotations

import secrets
from hashlib import sha256


def token() -> str:
    """A new random secret of 256 bits for a cookie, link or token."""
    return secrets.token_urlsafe(32)


def digest(token: str) -> str:
    """The digest that is stored. A fast hash is safe, because the secret is random."""
    return sha256(token.encode()).hexdigest()
