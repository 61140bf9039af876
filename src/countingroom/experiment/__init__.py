"""The description of an experiment: its YAML files, its model and its validation. All mistakes are reported together.

Start with loading.py, which loads and validates a description. files.py reads YAML with includes into one value with
line numbers, remains.py takes out what is wrong so that the rest is checked too, and description.py composes the model
from the sections of the departments.
"""

from __future__ import annotations

from countingroom.experiment.description import About, Experiment, schema
from countingroom.experiment.loading import Invalid, Loaded, load, load_located, load_once, load_with_problems

__all__ = [
    "About",
    "Experiment",
    "Invalid",
    "Loaded",
    "load",
    "load_located",
    "load_once",
    "load_with_problems",
    "schema",
]
