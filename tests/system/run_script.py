"""Runs the Python text of its argument: `python -m tests.system.run_script TEXT`, as `python -c TEXT` does."""

import sys

if __name__ == "__main__":
    exec(sys.argv[1])
