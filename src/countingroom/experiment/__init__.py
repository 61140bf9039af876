"""Law: one description says everything there is; it is read strictly, and all its mistakes are told at once.

The story in order: files.py (YAML with includes to one value that knows its lines), description.py (the departments'
sections composed), loading.py (both together, and what the sections find wrong across their keys).
"""

from __future__ import annotations

from countingroom.experiment.description import About, Experiment, schema
from countingroom.experiment.loading import Invalid, Loaded, load, load_located

__all__ = ["About", "Experiment", "Invalid", "Loaded", "load", "load_located", "schema"]
