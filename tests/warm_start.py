"""Turns a fork of the fork server of the tests into the program that a test wants.

Its arguments: JSON of the working folder and the environment, then the module and the arguments of the module.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
from pathlib import Path

from setproctitle import setproctitle


def main() -> None:
    """Become what `python -m MODULE ARGUMENTS...` would have been."""
    state, module, *arguments = sys.argv[1:]
    folder, environment = json.loads(state)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    root = str(Path(__file__).parents[1])
    sys.path[:] = [folder, *(one for one in sys.path[1:] if one != root or module.startswith("tests."))]
    setproctitle(" ".join([sys.executable, "-m", module, *arguments]))
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
