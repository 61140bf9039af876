"""Law: `python -m countingroom` is the command `countingroom`."""

from countingroom.cli.main import main

if __name__ == "__main__":
    main()
