"""The reference of the description is made from the sections themselves, so it cannot differ from them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from countingroom.core.yaml.field_texts import SchemaWithTexts
from countingroom.devices.section import DeviceSection
from countingroom.experiment import schema

HEAD = """# The description

An experiment is described by one YAML file, checked by `countingroom check` before anything runs. Every key there is
stands below; any other is refused.

Files
: `include: [a.yaml, "devices/*.yaml"]` at the top of a file adds the sections of other files, relative to it. The
  same thing in two files is refused with both places. `!include other.yaml` stands anywhere for the content of that
  file, and `<<: !include other.yaml` for its keys, of which those beside it are replaced. Keys at the top that begin
  with `x-` are ignored: a place for YAML anchors.

Values
: YAML 1.2: `true` and `false` alone are booleans, `on` and `12:30` are texts; `0x11`, `0o17` and `0b10001` are numbers.
  A key that is a number is a name (`3` is channel "3"). A key given twice in a mapping is refused.

Durations
: A number of seconds, or a number with its unit: `500 ms`, `10 s`, `2 min`, `1 h`, `30 d`, `2 w`, `20 y`.

Names
: Of devices, channels, users: letters, digits, `_` and `-`. They stand in addresses.

Secrets
: Never values: `password_file` names a file, `password_env` an environment variable.
"""

Schema = dict[str, Any]


def page() -> str:
    """The page, as Markdown."""
    whole = schema()
    shown: set[str] = set()
    parts = [HEAD]
    for name, node in whole["properties"].items():
        if name in {"include", "devices"}:
            continue
        parts += [f"\n## {name}\n\n{node['description']}\n", *_tables(node, whole, shown)]
    shared = DeviceSection.model_json_schema(schema_generator=SchemaWithTexts)
    parts.append(f"\n## devices\n\n{whole['properties']['devices']['description']}\n")
    parts.append("\n`driver` chooses what the rest means. With every driver:\n\n")
    parts.append(_table(shared["properties"], shared.get("required", [])))
    parts += _below(shared["properties"], whole, shown)
    union = _named(whole["properties"]["devices"], whole)["additionalProperties"]
    for driver, reference in union["discriminator"]["mapping"].items():
        node = _named({"$ref": reference}, whole)
        own = {
            key: value
            for key, value in node["properties"].items()
            if key not in shared["properties"] or value.get("default") != shared["properties"][key].get("default")
        }
        own.pop("driver")
        parts.append(
            f"\n### driver: {driver}\n\n{node.get('description', '')}\n\n" + _table(own, node.get("required", []))
        )
        parts += _below(own, whole, shown)
    return "".join(parts)


def _tables(node: Schema, whole: Schema, shown: set[str]) -> Iterator[str]:
    section = _named(node, whole)
    if "properties" not in section:  # a table of things by name
        yield f"\n{_kind(section)}\n"
        yield from _below({"": section}, whole, shown)
        return
    yield "\n" + _table(section["properties"], section.get("required", []))
    yield from _below(section["properties"], whole, shown)


def _below(properties: Schema, whole: Schema, shown: set[str]) -> Iterator[str]:
    """The sections inside, each told once."""
    for node in properties.values():
        for name in _references(node):
            if name in shown:
                continue
            shown.add(name)
            section = whole["$defs"][name]
            yield f"\n### {name}\n\n{section.get('description', '')}\n\n"
            if "properties" not in section:
                yield f"{_kind(section)}\n"
                continue
            yield _table(section["properties"], section.get("required", []))
            yield from _below(section["properties"], whole, shown)


def _table(properties: Schema, required: list[str]) -> str:
    lines = ["| key | takes | default | |", "|---|---|---|---|"]
    for key, node in properties.items():
        default = "required" if key in required else _default(node)
        text = " ".join(str(node.get("description", "")).split())
        lines.append("| " + " | ".join(_cell(part) for part in (f"`{key}`", _kind(node), default, text)) + " |")
    return "\n".join(lines) + "\n"


def _default(node: Schema) -> str:
    given = node.get("default")
    if isinstance(given, float) and _kind(node) == "duration":
        return f"`{_duration(given)}`"
    return "" if given is None or given in ("", {}, []) or isinstance(given, dict) else f"`{_yaml(given)}`"


def _kind(node: Schema) -> str:
    if "$ref" in node:
        return _link(node["$ref"])
    if "anyOf" in node:
        kinds = list(dict.fromkeys(_kind(one) for one in node["anyOf"] if one.get("type") != "null"))
        return "duration" if kinds == ["number", "text"] else " or ".join(kinds)
    if "enum" in node or "const" in node:
        return ", ".join(f"`{_yaml(value)}`" for value in node.get("enum", [node.get("const")]))
    match node.get("type"):
        case "object":
            inner = node.get("additionalProperties", {})
            return f"name → {_kind(cast(Schema, inner)) if isinstance(inner, dict) else 'anything'}"
        case "array":
            inner = node.get("prefixItems", [node.get("items", {})])[0]  # a pair is told by its first
            return f"list of {_kind(inner)}"
        case "integer" | "number" as kind:
            return kind + _range(node)
        case "string":
            return "text"
        case "boolean":
            return "`true` or `false`"
        case _:
            return "any"


def _duration(seconds: float) -> str:
    units = {"y": 31557600, "d": 86400, "h": 3600, "min": 60, "s": 1, "ms": 0.001}
    fitting = (f"{seconds / long:.0f} {unit}" for unit, long in units.items() if seconds >= long and not seconds % long)
    return next(fitting, f"{seconds * 1000:g} ms")


def _range(node: Schema) -> str:
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    return "".join(f" {sign} {node[word]:g}" for word, sign in signs.items() if word in node)


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        inner = cast(Schema, node)
        if "$ref" in inner:
            yield str(inner["$ref"]).rsplit("/", 1)[-1]
        for part in inner.values():
            yield from _references(part)
    elif isinstance(node, list):
        for part in cast(list[Any], node):
            yield from _references(part)


def _named(node: Schema, whole: Schema) -> Schema:
    return whole["$defs"][str(node["$ref"]).rsplit("/", 1)[-1]] if "$ref" in node else node


def _link(reference: str) -> str:
    name = reference.rsplit("/", 1)[-1]
    return f"[{name}](#{name.lower()})"


def _yaml(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
