"""How long a test waits for what must come. A wait ends as soon as it is there, so that a long time costs nothing."""

from __future__ import annotations

PATIENCE_S = 60.0
"""Enough for a machine that is ten times slower than ours, and a fifth of what pytest allows a test."""
