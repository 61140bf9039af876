"""Imports alembic without the highlighting of source text, which its templates would load: 4 MiB, 0.05 s."""

from __future__ import annotations

from countingroom.core.lean_imports import without

with without("pygments"):
    from alembic import command
    from alembic.config import Config

__all__ = ["Config", "command"]
