"""Export of configurations and tags as YAML, and import of the same values, all or none."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

import yaml

from countingroom.core.configurations import ConfigurationSet, Parameters
from countingroom.core.subjects import is_token
from countingroom.core.values import Scalar
from countingroom.core.yaml.located import Located, Mistaken, Path, Problem, mapping, parse, show

_PLAIN = re.compile(r"(?!(?:true|false|null|yes|no|on|off|y|n)$)[A-Za-z_][A-Za-z0-9_\-]*", re.IGNORECASE)


def to_yaml(kept: ConfigurationSet) -> str:
    """The set as YAML, ordered by name, so that two exports can be compared line by line."""
    return "".join(yaml_pieces(kept))


def yaml_pieces(kept: ConfigurationSet) -> Iterator[str]:
    """The same in pieces, about one for each configuration: twenty thousand of them take seconds."""
    tree: dict[str, Mapping[str, Any]] = {}
    if kept.configurations:
        tree["configurations"] = kept.configurations
    if kept.tags:
        tree["tags"] = kept.tags
    if kept.schemas:
        tree["schemas"] = kept.schemas
    out = _Pieces()
    dumper: Any = _Dumper(out, default_flow_style=False, sort_keys=False, allow_unicode=True, width=120)
    dumper.open()
    dumper.emit(yaml.DocumentStartEvent(explicit=False))
    dumper.emit(_START)
    for section, inside in tree.items():
        dumper.write_leaf(section)
        dumper.emit(_START)
        for name, value in sorted(inside.items()):
            dumper.write_leaf(name)
            if section == "schemas":
                dumper.write_leaf(value)
                yield out.take()
                continue
            dumper.emit(_START)
            for inner, leaf in sorted(value.items()):
                dumper.write_leaf(inner)
                dumper.write_leaf(leaf)
                yield out.take()
            dumper.emit(_END)
        dumper.emit(_END)
    dumper.emit(_END)
    dumper.emit(yaml.DocumentEndEvent(explicit=False))
    dumper.close()
    yield out.take()


def from_yaml(text: str, *, file: str = "import") -> ConfigurationSet:
    """Parse a YAML document. Raises Mistaken with each error and its line."""
    located = parse(text, file=file)
    reader = _Reader(located)
    tree = reader.mapping((), located.value)
    for key in tree:
        if key not in ("configurations", "tags", "schemas"):
            reader.wrong((key,), "unknown key; the keys are configurations, tags and schemas")
    found = ConfigurationSet(
        configurations=reader.nested(("configurations",), tree.get("configurations"), reader.parameters),
        tags=reader.nested(("tags",), tree.get("tags"), reader.text),
        schemas={
            name: reader.mapping(("schemas", name), schema)
            for name, schema in reader.named(("schemas",), tree.get("schemas")).items()
        },
    )
    if located.problems:
        raise Mistaken(located.problems)
    return found


class _Reader:
    """Checks a YAML tree with locations and collects all errors."""

    def __init__(self, located: Located) -> None:
        self._located = located

    def wrong(self, path: Path, message: str) -> None:
        place = self._located.place(path)
        self._located.problems.append(Problem(place=place, path=show(path), message=message))

    def mapping(self, path: Path, value: Any) -> dict[str, Any]:
        found = mapping(value)
        if found is None and value is not None and path not in self._located.broken:
            self.wrong(path, "expected a mapping")
        return found or {}

    def named(self, path: Path, value: Any) -> dict[str, Any]:
        found = self.mapping(path, value)
        for key in found:
            if not is_token(key):
                self.wrong((*path, key), "a name may contain only letters, digits, _ and -")
        return found

    def nested(self, path: Path, value: Any, leaf: Callable[[Path, Any], Any]) -> dict[str, dict[str, Any]]:
        """A mapping of two levels of names with a leaf each."""
        return {
            outer: {
                inner: leaf((*path, outer, inner), one) for inner, one in self.named((*path, outer), inside).items()
            }
            for outer, inside in self.named(path, value).items()
        }

    def parameters(self, path: Path, value: Any) -> Parameters:
        found = self.mapping(path, value)
        for key, one in found.items():
            if one is not None and not isinstance(one, bool | int | float | str):
                self.wrong((*path, key), "a value must be a number, a text, true, false or null")
        return cast(dict[str, Scalar], found)

    def text(self, path: Path, value: Any) -> str:
        if not isinstance(value, str):
            self.wrong(path, "expected the name of a configuration; quote it if it looks like a number")
            return ""
        return value


_START = yaml.MappingStartEvent(anchor=None, tag=None, implicit=True, flow_style=False)
_END = yaml.MappingEndEvent()


class _Pieces:
    """A stream that keeps what was written until it is taken."""

    def __init__(self) -> None:
        self._texts: list[str] = []

    def write(self, text: str) -> None:
        self._texts.append(text)

    def take(self) -> str:
        text = "".join(self._texts)
        self._texts.clear()
        return text


class _Dumper(yaml.SafeDumper):
    """Quotes every text that a YAML reader could read as another type."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def write_leaf(self, data: Any) -> None:
        """Write a key or a whole value; the mappings around it are events."""
        this: Any = self
        node = this.represent_data(data)
        this.anchor_node(node)
        this.serialize_node(node, None, None)
        this.anchors.clear()
        this.serialized_nodes.clear()


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = None if _PLAIN.fullmatch(text) else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)  # pyright: ignore[reportUnknownMemberType]


def _real(dumper: yaml.SafeDumper, value: float) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:float", _spelled(value))  # pyright: ignore[reportUnknownMemberType]


def _spelled(value: float) -> str:
    text = repr(value)
    whole, e, exponent = text.partition("e")
    return f"{whole}.0e{exponent}" if e and "." not in whole else text


_Dumper.add_representer(str, _text)
_Dumper.add_representer(float, _real)
