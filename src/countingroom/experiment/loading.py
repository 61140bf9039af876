"""Loads and validates the description of an experiment. Raises Invalid with every mistake, file and line.

A section may define `problems() -> Iterable[(path within it, message)]` for rules over several of its keys. These rules
are also checked when other sections are invalid. `warnings()` of the same form gives what is told and not refused.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, cast

from msgspec import Struct
from pydantic import BaseModel, RootModel, ValidationError

from countingroom.core.yaml.located import Located, Mistaken, Problem, show
from countingroom.core.yaml.located import Path as KeyPath
from countingroom.core.yaml.validation_errors import mistakes
from countingroom.departments import DEPARTMENTS, Department
from countingroom.departments import load as load_path
from countingroom.experiment.description import Experiment, experiment_model
from countingroom.experiment.files import read, take_paths_from_their_files
from countingroom.experiment.remains import is_consequence, without_wrong_values


class Invalid(Mistaken):
    """The description has mistakes."""


class Loaded(Struct, frozen=True, kw_only=True):
    """An experiment, with the file and line of each part."""

    experiment: Experiment
    located: Located
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    """What can hardly be meant, and is not refused."""
    removed: frozenset[KeyPath] = frozenset()
    """Paths of wrong values, which the experiment was made without."""

    def problem(self, path: KeyPath, message: str) -> Problem:
        """A problem found after loading, with its file and line."""
        return Problem(place=self.located.place(path), path=show(path), message=message)

    def is_whole(self, path: KeyPath) -> bool:
        """Whether no value under this path was wrong."""
        return not any(lost[: len(path)] == path for lost in self.removed)

    def wrong_keys(self, path: KeyPath) -> frozenset[str]:
        """The keys directly under this path under which something was wrong; empty text: the path itself."""
        depth = len(path)
        under = (lost for lost in self.removed if lost[:depth] == path)
        return frozenset(str(lost[depth]) if len(lost) > depth else "" for lost in under)

    def in_order(self, problems: Iterable[Problem]) -> list[Problem]:
        """The problems of loading and these, by file and line, each once."""
        return _in_order([*self.problems, *problems], self.located)


def load(path: Path | str, departments: tuple[Department, ...] = DEPARTMENTS) -> Experiment:
    """The experiment in this file and all it includes. Raises Invalid with every mistake."""
    return load_located(path, departments).experiment


@functools.cache
def load_once(path: Path) -> Experiment:
    """The same as `load`, read once in this process and its forks: a restarted role has the description that `up` had.

    `path`: absolute."""
    return load(path)


def load_located(path: Path | str, departments: tuple[Department, ...] = DEPARTMENTS) -> Loaded:
    """The same as `load`, with the file and line of each part."""
    loaded = load_with_problems(path, departments)
    if loaded.problems:
        raise Invalid(loaded.problems)
    return loaded


def validated(value: Any, directory: Path, departments: tuple[Department, ...] = DEPARTMENTS) -> Experiment:
    """The experiment of a value that `load_with_problems` has found whole (`Loaded.located.value`), without its files.
    `directory`: that of the description. ValidationError where it is not whole."""
    return experiment_model(departments).model_validate(value, context={"directory": directory})


def load_with_problems(path: Path | str, departments: tuple[Department, ...] = DEPARTMENTS) -> Loaded:
    """The valid part of the experiment, and all problems. Raises Invalid where no part is valid."""
    model = experiment_model(departments)
    path = Path(path)
    located = read(path)
    if located.value is None and located.broken:
        raise Invalid(located.problems)
    take_paths_from_their_files(located, path.parent, _file_names(departments))
    value: Any = {} if located.value is None else located.value
    context = {"directory": path.parent}
    found = list(located.problems)
    removed: frozenset[KeyPath] = frozenset()
    try:
        experiment = model.model_validate(value, context=context)
    except ValidationError as error:
        found += mistakes(error, model, located)
        rest = without_wrong_values(value, model, error, context)
        if rest is None:
            raise Invalid(_in_order(found, located)) from error
        experiment, removed = rest
    lost = removed | located.broken

    def said(ask: str) -> list[Problem]:
        return [
            Problem(place=located.place(spot + inner), path=show(spot + inner), message=message)
            for spot, inner, message in _spoken(experiment, (), ask)
            if not is_consequence(lost, experiment, spot, spot + inner, message)
        ]

    return Loaded(
        experiment=experiment,
        located=located,
        problems=tuple(_in_order([*found, *said("problems")], located)),
        warnings=tuple(_in_order(said("warnings"), located)),
        removed=frozenset(lost),
    )


def _file_names(departments: tuple[Department, ...]) -> Iterator[KeyPath]:
    """The paths of all file names that the departments' sections declare."""
    for section in (department.section for department in departments):
        if section:
            for inner in getattr(load_path(section.model), "file_names", ()):
                yield (section.key, *inner)


def said_by(part: Any) -> Iterator[tuple[KeyPath, str]]:
    """The `problems()` of this section and of all sections in it, outermost first, with paths as in the file."""
    for spot, inner, message in _spoken(part, (), "problems"):
        yield spot + inner, message


def _spoken(part: Any, spot: KeyPath, name: str) -> Iterator[tuple[KeyPath, KeyPath, str]]:
    """(path of the section, path within it, message) of all that the sections' functions of this name give."""
    if isinstance(part, BaseModel):
        ask = getattr(part, name, None)
        if callable(ask):
            for inner, message in cast("Iterable[tuple[KeyPath, str]]", ask()):
                yield spot, inner, message
        if isinstance(part, RootModel):
            yield from _spoken(cast(Any, part).root, spot, name)
            return
        for key, field in type(part).model_fields.items():
            if (value := getattr(part, key)).__class__ not in _LEAVES:
                yield from _spoken(value, (*spot, field.alias or key), name)
    elif isinstance(part, (dict, list, tuple)):
        pairs = cast(dict[str, Any], part).items() if isinstance(part, dict) else enumerate(cast(list[Any], part))
        for key, entry in pairs:
            if entry.__class__ not in _LEAVES:
                yield from _spoken(entry, (*spot, key), name)


_LEAVES = frozenset({str, int, float, bool, type(None)})
"""Types of values that have nothing to say; nearly all values are of these."""


def _in_order(found: list[Problem], located: Located) -> list[Problem]:
    """Sort problems: main file first, the others in the order of inclusion, by line within a file. No duplicates."""
    files = list(dict.fromkeys(place.file for place in [*located.values.values(), *(one.place for one in found)]))
    main = located.values[()].file
    return sorted(
        dict.fromkeys(found), key=lambda one: (one.place.file != main, files.index(one.place.file), one.place.line)
    )
