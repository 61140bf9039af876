"""What the roles share holds no library that only few of them use, and seldom: each page of it costs memory."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

PROGRAM = """
import json, sys
from pathlib import Path
from countingroom.app import fork_server
from countingroom.app.up import PROGRAM
from countingroom.departments import DEPARTMENTS
modules = [module for one in DEPARTMENTS for role in one.roles for module in role.modules]
modules += [module for one in DEPARTMENTS for module in (*one.api, *one.pages)]
fork_server.prepare([*PROGRAM, *modules], "")
print(json.dumps([one for one in sys.argv[1:] if one in sys.modules]))
"""


@pytest.fixture(scope="module")
def shared() -> set[str]:
    """Which of these libraries all roles share."""
    libraries = ["alembic", "jsonschema", "duckdb", "pygments", "setuptools", "sqlalchemy", "numpy"]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *libraries], capture_output=True, text=True, timeout=120, check=True
    )
    return set(json.loads(done.stdout))


@pytest.mark.server
@pytest.mark.parametrize("library", ["alembic", "jsonschema", "duckdb", "pygments", "setuptools"])
def test_a_library_that_is_seldom_used_is_not_shared(shared: set[str], library: str) -> None:
    assert library not in shared


@pytest.mark.parametrize("library", ["sqlalchemy", "numpy"])
def test_a_library_that_several_roles_use_is_shared(shared: set[str], library: str) -> None:
    assert library in shared
