"""Validation of configurations against the JSON Schema of their system: one cause for each parameter. Pure.

The library is imported only when it is used: it takes 3 MiB, and a running experiment rarely checks a configuration.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from countingroom.core.errors import Cause, OutOfRange
from countingroom.core.values import Scalar


def check_schema(schema: Mapping[str, Any], *, system: str) -> None:
    """Check a schema. OutOfRange if it is not a JSON Schema (draft 2020-12) or refers to another document."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError

    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        place = ".".join(str(part) for part in error.absolute_path)
        raise OutOfRange(
            f"the schema of {system} is invalid: {place + ': ' if place else ''}{error.message}",
            source=f"configurations.{system}",
            suggestion="write a JSON Schema of draft 2020-12 for an object of parameters",
        ) from error
    if foreign := next(_foreign(schema), ""):
        raise OutOfRange(
            f"the schema of {system} refers to {foreign}, which is not in it",
            source=f"configurations.{system}",
            suggestion="put it under $defs and refer to it with #/$defs/…",
        )


def misfits(parameters: Mapping[str, Scalar], schema: Mapping[str, Any], *, source: str) -> tuple[Cause, ...]:
    """The violations of the schema; empty if the parameters are valid."""
    from jsonschema import Draft202012Validator

    validator: Any = Draft202012Validator(schema)
    errors: list[Any] = sorted(validator.iter_errors(dict(parameters)), key=lambda error: list(error.path))
    causes: list[Cause] = []
    for error in errors:
        place = ".".join(str(part) for part in error.absolute_path)
        causes.append(
            Cause(
                code="out_of_range",
                message=f"{place}: {error.message}" if place else error.message,
                source=source,
                evidence={"parameter": place, "rule": str(error.validator)},
            )
        )
    return tuple(causes)


def _foreign(node: Any) -> Iterator[str]:
    """References to other documents. They are refused, because validation must not read files or the network."""
    if isinstance(node, dict):
        known = cast(dict[str, Any], node)
        reference = known.get("$ref", "#")
        if not str(reference).startswith("#"):
            yield str(reference)
        for value in known.values():
            yield from _foreign(value)
    elif isinstance(node, list):
        for value in cast(list[Any], node):
            yield from _foreign(value)
