"""The path to which a page leads after a login: always one of this console."""

from __future__ import annotations

import re

_LOCAL = re.compile(r"/(?!/)[!-\[\]-~]*")
"""Printable ASCII without backslash and space: browsers drop tabs and line ends and take `\\` for `/`, so that
`/<tab>/evil.example` leads to another host."""


def local_path(text: str) -> str:
    """The text if it is a path of this console (with query and fragment), otherwise `/`. So a link cannot lead from the
    login to another site."""
    return text if _LOCAL.fullmatch(text) else "/"
