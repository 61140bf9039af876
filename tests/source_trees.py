"""The syntax trees of the source, for the rules that a program can check."""

from __future__ import annotations

import ast
import gc
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "src" / "countingroom"


@cache
def trees() -> dict[Path, ast.Module]:
    """Each file of the source with its tree. A million nodes: collecting garbage among them is most of the work."""
    gc.disable()
    try:
        return {path: ast.parse(path.read_text()) for path in sorted(PACKAGE.rglob("*.py"))}
    finally:
        gc.freeze()
        gc.enable()
