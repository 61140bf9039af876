"""What remains of a wrong description without its wrong values, so that all of the rest is checked in the same run.

`without_wrong_values` removes them. A rule over several keys may then find a thing missing that is only wrong;
`is_consequence` says of a problem whether it may come from that.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Set
from copy import deepcopy
from typing import Any, cast

from pydantic import BaseModel, RootModel, ValidationError

from countingroom.core.yaml.located import Path as KeyPath
from countingroom.core.yaml.located import mapping
from countingroom.core.yaml.validation_errors import wrong_paths
from countingroom.experiment.description import Experiment

_MOST_ROUNDS = 20
"""Removing a value can make its mapping wrong, so a round ends at most one level above the one before it."""


def without_wrong_values(
    value: Any, model: type[Experiment], error: ValidationError, context: dict[str, Any]
) -> tuple[Experiment, frozenset[KeyPath]] | None:
    """The experiment of the valid values, and the paths of the removed ones; None where no value remains."""
    rest = deepcopy(value)
    removed: set[KeyPath] = set()
    for _ in range(_MOST_ROUNDS):
        for path in wrong_paths(error, model, rest):
            # An item of a list would shift the numbers of those after it, so the whole list goes.
            end = next((at for at, part in enumerate(path) if isinstance(part, int)), len(path))
            removed.add(path[:end])
            if not _remove(rest, path[:end]):
                return None
        if not isinstance((mapping(rest) or {}).get("experiment"), dict):
            removed.add(("experiment",))
            rest["experiment"] = {"name": "unnamed"}
        try:
            return model.model_validate(rest, context=context), frozenset(removed)
        except ValidationError as next_error:
            error = next_error
    return None


def _remove(value: Any, path: KeyPath) -> bool:
    """Remove the value at this path. False for the path of the whole."""
    if not path:
        # Only `experiment` is required at the top: the caller puts it in.
        return isinstance(value, dict)
    for part in path[:-1]:
        value = (mapping(value) or {}).get(str(part))
    (mapping(value) or {}).pop(str(path[-1]), None)
    return True


def is_consequence(lost: Set[KeyPath], experiment: Experiment, section: KeyPath, path: KeyPath, message: str) -> bool:
    """Whether a problem may only result from the wrong values at the paths `lost`.

    section: the path of the section with the rule that found the problem. path: that of the problem.
    """
    if () in lost and len(section) < 2:  # a file could not be read: any name may be in it
        return True
    subject = message.partition(";")[0]  # without the names that a hint adds
    for one in lost:
        if one and (path[: len(one)] == one or (one[:-1] == section and section)):
            return True
        if one[: len(section)] == section and any(_names(name, subject) for name in _entries(experiment, one)):
            return True
    return False


def _names(name: str, message: str) -> bool:
    return re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", message) is not None


def _entries(part: Any, path: KeyPath) -> Iterator[str]:
    """The parts of a path that are names in tables of the description: of a system, a device, a register."""
    for key in path:
        if isinstance(part, RootModel):
            part = cast(Any, part).root
        if isinstance(part, BaseModel):
            fields = type(part).model_fields.items()
            part = next((getattr(part, name) for name, field in fields if key in (name, field.alias)), None)
        elif isinstance(part, dict):
            yield str(key)
            part = cast(dict[Any, Any], part).get(key)
        else:
            return
