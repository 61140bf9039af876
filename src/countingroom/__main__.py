"""Runs the command `countingroom` as `python -m countingroom`."""

from countingroom.cli.main import main

if __name__ == "__main__":
    main()
