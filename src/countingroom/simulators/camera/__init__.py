"""A simulated camera that is an actor of its own: it exposes, writes FITS files, and fails or hangs when it is told to.

Read `camera.py` first. `python -m countingroom.simulators.camera --help` tells how it is run.
"""
