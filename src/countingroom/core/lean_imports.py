"""Imports a library without the parts of it that this program never uses. They cost memory in each process, and time.

Each function changes `sys.modules` for the length of its block. A process that imports in several threads must not use
them at that time for modules that another thread needs.
"""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from typing import Any


@contextmanager
def without_init(package: str, *, names_of: str) -> Generator[None]:
    """In the block this package has the names of one of its modules, and its `__init__` does not run.

    It has no effect where the package is imported already, or is not installed.
    """
    spec = None if package in sys.modules else find_spec(package)
    if spec is None:
        yield
        return
    bare = module_from_spec(spec)
    sys.modules[package] = bare
    try:
        module = import_module(f"{package}.{names_of}")
        vars(bare).update({name: value for name, value in vars(module).items() if not name.startswith("_")})
        yield
    finally:
        del sys.modules[package]  # the next import runs the `__init__`


@contextmanager
def without(module: str) -> Generator[None]:
    """In the block this module is not found. For a library that does without it.

    It has no effect where the module is imported already.
    """
    if module in sys.modules:
        yield
        return
    modules: dict[str, Any] = sys.modules
    modules[module] = None  # the import system raises ModuleNotFoundError for it
    try:
        yield
    finally:
        del modules[module]
