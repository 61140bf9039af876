"""Translates validation errors of pydantic into problems with file, line and path, what is wrong and what was expected.

The code follows the JSON Schema of the model and the parsed value side by side. So the path contains no tags of unions,
and the message on an unknown key can list the known keys.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from functools import cache
from typing import Any, cast

from pydantic import BaseModel, TypeAdapter, ValidationError

from countingroom.core.yaml.located import Located, Path, Problem, show

Schema = dict[str, Any]


def mistakes(error: ValidationError, model: type[BaseModel] | TypeAdapter[Any], located: Located) -> list[Problem]:
    """Each error once, in the order of the lines. Errors that result from an unreadable part are left out."""
    found: dict[tuple[Path, bool], list[str]] = {}
    for path, keys, one in _placed(error, model, located.value):
        if any(broken and path[: len(broken)] == broken for broken in located.broken):
            continue
        if () in located.broken and one["type"] == "missing" and len(path) == 1:
            continue
        sentence = _sentence(one, path, keys)
        sentences = found.setdefault((path, one["type"] == "missing"), [])
        if sentence not in sentences:
            sentences.append(sentence)
    problems = [
        Problem(place=located.place(path), path=show(path), message=", or ".join(sentences))
        for (path, _), sentences in found.items()
    ]
    return sorted(problems, key=lambda problem: (problem.place.file, problem.place.line))


def wrong_paths(error: ValidationError, model: type[BaseModel], value: Any) -> set[Path]:
    """The paths, as in the file, of the values that this error refuses. For a missing key, the path of its mapping."""
    return {
        path[:-1] if one["type"] in ("missing", "union_tag_not_found") else path
        for path, _, one in _placed(error, model, value)
    }


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`; did you mean board?` when a known word is similar, else the list of the known words."""
    known = list(known)
    close = get_close_matches(word, known, n=1, cutoff=0.6) or [one for one in known if one.lower() == word.lower()]
    if close:
        return f"; did you mean {close[0]}?"
    return f"; known here: {', '.join(known)}" if known else ""


def _placed(
    error: ValidationError, model: type[BaseModel] | TypeAdapter[Any], value: Any
) -> Iterator[tuple[Path, list[str], dict[str, Any]]]:
    """Each error of pydantic with its path as in the file, and the keys that the model knows there."""
    schema = model.json_schema() if isinstance(model, TypeAdapter) else _schema_of(model)
    for one in error.errors(include_url=False):
        path, keys = _written(one["loc"], schema, value)
        if one["type"].startswith("union_tag"):
            path = (*path, _discriminator(one))
        yield path, keys, cast(dict[str, Any], one)


@cache
def _schema_of(model: type[BaseModel]) -> Schema:
    """The schema of a class. It takes longer to make than all the rest of a check, which asks for it several times."""
    return model.model_json_schema()


def _written(loc: tuple[int | str, ...], schema: Schema, value: Any) -> tuple[Path, list[str]]:
    """The path as it is in the file, and the keys that the model knows in its last mapping."""
    path: list[str | int] = []
    keys: list[str] = []
    node: Schema = schema
    for part in loc:
        if part == "[key]":
            continue
        node, is_tag = _enter(node, schema, value, part)
        if is_tag:
            continue
        keys = list(cast(Schema, node.get("properties", {})))
        path.append(part)
        node, value = _below(node, part), _inside(value, part)
    return tuple(path), keys


def _enter(node: Schema, root: Schema, value: Any, part: str | int) -> tuple[Schema, bool]:
    """The schema that applies to the value, and whether the part only names an alternative of a union."""
    node = _resolve(node, root)
    if "discriminator" in node:
        rule = cast(dict[str, Any], node["discriminator"])
        tag = _inside(value, rule["propertyName"])
        chosen = cast(dict[str, str], rule.get("mapping", {})).get(str(tag))
        if chosen is not None:
            return {"$ref": chosen}, part == tag
    alternatives = [_resolve(one, root) for one in cast(list[Schema], node.get("anyOf", node.get("oneOf", [])))]
    alternatives = [one for one in alternatives if one.get("type") != "null"]
    if not alternatives:
        return node, False
    if len(alternatives) == 1:
        return _enter(alternatives[0], root, value, part)
    in_value = isinstance(value, (dict, list)) and _inside(value, part) is not None
    fitting = [one for one in alternatives if part in one.get("properties", {}) or "items" in one]
    return (fitting or alternatives)[0], not in_value and not fitting


def _resolve(node: Schema, root: Schema) -> Schema:
    while "$ref" in node:
        name = str(node["$ref"]).rsplit("/", 1)[-1]
        node = cast(Schema, root["$defs"][name])
    return node


def _below(node: Schema, part: str | int) -> Schema:
    if isinstance(part, int):
        prefix = cast(list[Schema], node.get("prefixItems", []))
        found = prefix[part] if part < len(prefix) else node.get("items", {})
    else:
        found = cast(Schema, node.get("properties", {})).get(part, node.get("additionalProperties", {}))
        if "patternProperties" in node:  # a table whose names follow a pattern
            found = next(iter(cast(dict[str, Schema], node["patternProperties"]).values()))
    return cast(Schema, found) if isinstance(found, dict) else {}


def _inside(value: Any, part: Any) -> Any:
    if isinstance(value, dict):
        return cast(dict[Any, Any], value).get(part)
    if isinstance(value, list) and isinstance(part, int) and part < len(cast(list[Any], value)):
        return cast(list[Any], value)[part]
    return None


def _sentence(error: dict[str, Any], path: Path, keys: list[str]) -> str:
    given, context = error["input"], error.get("ctx", {})
    message = str(error["msg"])
    match error["type"]:
        case "extra_forbidden":
            return f"unknown key{did_you_mean(str(path[-1]) if path else '', keys)}"
        case "missing":
            return "is missing"
        case "union_tag_not_found":
            return "is missing; it determines the meaning of the other keys"
        case "union_tag_invalid":
            known = [one.strip(" '") for one in str(context["expected_tags"]).split(",")]
            return f"{context['tag']} is not known{did_you_mean(str(context['tag']), known)}"
        case "value_error" | "assertion_error":
            return message.split(", ", 1)[-1] if message.startswith(("Value error", "Assertion")) else message
        case "none_required" | "model_type" | "dict_type" | "list_type" if given is None:
            return "is empty; " + message.replace("Input should be", "expected")
        case _:
            expected = message.replace("Input should be", "expected")
            return f"got {_short(given)}; {expected[:1].lower()}{expected[1:]}"


def _discriminator(error: Any) -> str:
    return str(error["ctx"]["discriminator"]).strip("'")


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, (list, tuple)):
        return "a list"
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 60 else text[:57] + "…"
