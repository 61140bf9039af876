"""Loads and validates the description of an experiment. Raises Invalid with every mistake, file and line.

A section may define `problems() -> Iterable[(path within it, message)]` for rules over several of its keys. These rules
are also checked when other sections are invalid.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from msgspec import Struct
from pydantic import BaseModel, RootModel, TypeAdapter, ValidationError

from countingroom.core.yaml.located import Located, Mistaken, Problem, mapping, show
from countingroom.core.yaml.located import Path as KeyPath
from countingroom.core.yaml.validation_errors import mistakes
from countingroom.departments import DEPARTMENTS, Department
from countingroom.experiment.description import Experiment, experiment_model
from countingroom.experiment.files import read


class Invalid(Mistaken):
    """The description has mistakes."""


class Loaded(Struct, frozen=True, kw_only=True):
    """An experiment, with the file and line of each part."""

    experiment: Experiment
    located: Located

    def problem(self, path: KeyPath, message: str) -> Problem:
        """A problem found after loading, with its file and line."""
        return Problem(place=self.located.place(path), path=show(path), message=message)


def load(path: Path | str, departments: tuple[Department, ...] = DEPARTMENTS) -> Experiment:
    """The experiment in this file and all it includes. Raises Invalid with every mistake."""
    return load_located(path, departments).experiment


def load_located(path: Path | str, departments: tuple[Department, ...] = DEPARTMENTS) -> Loaded:
    """The same as `load`, with the file and line of each part."""
    model = experiment_model(departments)
    path = Path(path)
    located = read(path)
    context = {"directory": path.parent}
    found = list(located.problems)
    experiment: Experiment | None = None
    if located.value is None and located.broken:
        raise Invalid(found)
    try:
        experiment = model.model_validate({} if located.value is None else located.value, context=context)
        parts: list[tuple[KeyPath, Any]] = [((), experiment)]
    except ValidationError as error:
        found += mistakes(error, model, located)
        parts = list(_valid_parts(located.value, model, context))
    for spot, part in parts:
        found += [
            Problem(place=located.place(spot + inner), path=show(spot + inner), message=message)
            for inner, message in said_by(part)
        ]
    if experiment is None or found:
        raise Invalid(_in_order(found, located))
    return Loaded(experiment=experiment, located=located)


def _valid_parts(value: Any, model: type[Experiment], context: dict[str, Path]) -> Iterator[tuple[KeyPath, Any]]:
    """The valid parts of an invalid description: valid sections, and the valid entries of sections that are tables."""
    for name, field in model.model_fields.items():
        content = mapping((mapping(value) or {}).get(name))
        if content is None or not isinstance(field.annotation, type):
            continue
        adapter: TypeAdapter[Any] = TypeAdapter(field.annotation)
        table = issubclass(field.annotation, RootModel)
        for piece in ({key: entry} for key, entry in content.items()) if table else (content,):
            try:
                yield (name,), adapter.validate_python(piece, context=context)
            except ValidationError:
                continue  # reported already, by the validation of the whole


def said_by(part: Any) -> Iterator[tuple[KeyPath, str]]:
    """The `problems()` of this section and of all sections in it, outermost first, with paths as in the file."""
    if isinstance(part, BaseModel):
        ask = getattr(part, "problems", None)
        if callable(ask):
            yield from cast("Iterator[tuple[KeyPath, str]]", ask())
        if isinstance(part, RootModel):
            yield from said_by(cast(Any, part).root)
            return
        for name, field in type(part).model_fields.items():
            for inner, message in said_by(getattr(part, name)):
                yield (field.alias or name, *inner), message
    elif isinstance(part, (dict, list, tuple)):
        pairs = cast(dict[str, Any], part).items() if isinstance(part, dict) else enumerate(cast(list[Any], part))
        for key, entry in pairs:
            for inner, message in said_by(entry):
                yield (key, *inner), message


def _in_order(found: list[Problem], located: Located) -> list[Problem]:
    """Sort problems: main file first, the others in the order of inclusion, by line within a file. No duplicates."""
    files = list(dict.fromkeys(place.file for place in [*located.values.values(), *(one.place for one in found)]))
    main = located.values[()].file
    return sorted(
        dict.fromkeys(found), key=lambda one: (one.place.file != main, files.index(one.place.file), one.place.line)
    )
