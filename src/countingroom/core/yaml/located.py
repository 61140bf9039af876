"""Parses YAML into plain values together with the file and line of each value.

`parse` does not raise for errors in the text; it collects them in `problems`, so that all can be reported at once.
Scalars follow the core schema of YAML 1.2 (`on`, `12:30` and `2026-11-22` are texts), keys are always texts (`3:` is
"3"), and a duplicate key is an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable
from typing import Any, cast

import yaml
from msgspec import Struct, field
from yaml.composer import Composer
from yaml.constructor import SafeConstructor
from yaml.parser import Parser
from yaml.reader import Reader, ReaderError
from yaml.resolver import Resolver
from yaml.scanner import Scanner

from countingroom.core.errors import Cause, ConfigurationError
from countingroom.core.plain_text import hidden_character

Path = tuple[str | int, ...]


class Place(Struct, frozen=True):
    """A line of a file, counted from 1; line 0 is the file as a whole."""

    file: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


class Problem(Struct, frozen=True, kw_only=True):
    """One error in a file: its place, its path in the description, what is wrong and what was expected."""

    place: Place
    path: str = ""
    message: str

    def __str__(self) -> str:
        return ": ".join(part for part in (str(self.place), self.path, self.message) if part)

    def cause(self) -> Cause:
        """The problem as a Cause, for API and log."""
        message = f"{self.path}: {self.message}" if self.path else self.message
        return Cause(code="configuration", message=message, source=str(self.place))


class Mistaken(ConfigurationError):
    """A file has errors: `problems` has all of them, `str()` gives a line for each."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        files = ", ".join(dict.fromkeys(problem.place.file for problem in self.problems))
        super().__init__(
            f"{len(self.problems)} mistake{'s' if len(self.problems) > 1 else ''} in {files}",
            causes=[problem.cause() for problem in self.problems],
        )

    def __str__(self) -> str:
        return "\n".join(map(str, self.problems))


class Located(Struct, kw_only=True):
    """A parsed value with the places of all its parts."""

    value: Any = None
    keys: dict[Path, Place] = field(default_factory=dict[Path, Place])
    """Path -> place of its key (or list item)."""
    values: dict[Path, Place] = field(default_factory=dict[Path, Place])
    """Path -> place where its value begins; in another file than the key when it was included."""
    problems: list[Problem] = field(default_factory=list[Problem])
    broken: set[Path] = field(default_factory=set[Path])
    """Paths whose value could not be read; errors below them are not reported. The path (): part of it is missing."""

    def place(self, path: Path, *, of_value: bool = False) -> Place:
        """The place of a path; when it is unknown, the place of the nearest enclosing path that is known."""
        for end in range(len(path), -1, -1):
            key, value = self.keys.get(path[:end]), self.values.get(path[:end])
            inside = of_value or end < len(path)
            if value and (key is None or (inside and value.file != key.file)):
                return value
            if key:
                return key
        return Place("")

    def adopt(self, other: Located, path: Path) -> None:
        """Add the places of another document under a path of this one; the caller sets the value itself."""
        self.keys.update({path + inner: place for inner, place in other.keys.items() if inner})
        self.values.update({path + inner: place for inner, place in other.values.items()})
        self.broken.update(path + inner for inner in other.broken)


Include = Callable[[str, Place], Located]
"""(name in `!include`, place of the tag) -> the parsed file."""


def mapping(value: Any) -> dict[str, Any] | None:
    """The value itself when it is a mapping, else None."""
    return cast(dict[str, Any], value) if isinstance(value, dict) else None


def show(path: Path) -> str:
    """A path as text: `devices.caen.channels.3.lv`, `points[2].address`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


_MOST_NODES = 500_000
"""Limit for one document with its aliases expanded: nested aliases in a few lines can expand beyond any memory."""


def parse(text: str, *, file: str, include: Include | None = None, most_values: int = _MOST_NODES) -> Located:
    """Parse one YAML document. `include` resolves the tag `!include`; without it the tag is an error. A document with
    more than `most_values` values, aliases expanded, is refused."""
    located = Located()
    try:
        loader, node = _composed(text)
        if node is not None:
            located.value = _Reader(loader, file, include, located, most_values).read(node, ())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        reason = str(error.problem or error.context)
        message = f"invalid YAML: {reason}{_HINTS.get(reason, '')}"
        located.problems.append(Problem(place=Place(file, mark.line + 1 if mark else 0), message=message))
        located.broken.add(())
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        message = f"invalid YAML: the character #x{error.character:04x} is not allowed"
        located.problems.append(Problem(place=Place(file, line), message=message))
        located.broken.add(())
    except yaml.YAMLError as error:
        located.problems.append(Problem(place=Place(file), message=f"invalid YAML: {error}"))
        located.broken.add(())
    except RecursionError:
        located.problems.append(Problem(place=Place(file), message="no description: it is nested too deeply"))
        located.broken.add(())
    located.values.setdefault((), Place(file, 1))
    return located


_HINTS = {
    "mapping values are not allowed here": "; a text with `: ` in it needs quotes, and keys of one mapping one indent",
    "found character '\\t' that cannot start any token": "; indent with spaces, not with tabs",
}
"""Message of the parser -> the usual reason."""

_TYPES = {
    "bool": (r"true|True|TRUE|false|False|FALSE", "tTfF"),
    "null": (r"~|null|Null|NULL|", "~nN"),
    "int": (r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+|0b[01]+", "-+0123456789"),
    "float": (
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+.0123456789",
    ),
    "merge": (r"<<", "<"),
}


class _Values(SafeConstructor, Resolver):
    """The implicit types of YAML 1.2, and binary numbers."""

    nodes_read = 0
    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {
        first: [
            (f"tag:yaml.org,2002:{kind}", re.compile(rf"^(?:{pattern})$"))
            for kind, (pattern, firsts) in _TYPES.items()
            if first in firsts or (not first and kind == "null")
        ]
        for first in ["", *sorted({first for _, firsts in _TYPES.values() for first in firsts})]
    }


def _integer(_values: Any, node: yaml.ScalarNode) -> int:
    text = str(node.value)
    base = {"0o": 8, "0x": 16, "0b": 2}.get(text[:2], 10)
    return int(text, base)


def _real(_values: Any, node: yaml.ScalarNode) -> float:
    return float(str(node.value).lower().replace(".inf", "inf").replace(".nan", "nan"))


_Values.add_constructor("tag:yaml.org,2002:int", _integer)
_Values.add_constructor("tag:yaml.org,2002:float", _real)


class _Loader(Reader, Scanner, Parser, Composer, _Values):
    """With the parser of PyYAML."""

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)
        Composer.__init__(self)
        _Values.__init__(self)
        Resolver.__init__(self)


if yaml.__with_libyaml__:
    from yaml._yaml import CParser  # the stubs do not export it from yaml.cyaml

    class _LibyamlLoader(Composer, CParser, _Values):
        """With the parser of libyaml. Its events are composed in Python: its own composer calls itself in C, and a text
        that is nested too deeply would end the process."""

        def __init__(self, text: str) -> None:
            CParser.__init__(self, text)
            Composer.__init__(self)
            _Values.__init__(self)
            Resolver.__init__(self)
            # PyYAML refuses tabs, byte order marks and `?` in plain words in places where libyaml does not.
            self.is_doubtful = "\t" in text or "\ufeff" in text

        def compose_scalar_node(self, anchor: Any) -> yaml.ScalarNode:
            node = super().compose_scalar_node(anchor)
            if not node.style and "?" in node.value:
                self.is_doubtful = True
            return node

    fast_loader = _LibyamlLoader
else:
    fast_loader = None


def _composed(text: str) -> tuple[_Values, yaml.Node | None]:
    """The nodes of a document, with what constructs their values. yaml.YAMLError, RecursionError.

    A text that libyaml refuses, or takes where PyYAML would not, is read again in Python, which alone tells mistakes:
    their words and lines are the same with and without libyaml.
    """
    if fast_loader is not None:
        try:
            loader = fast_loader(text)
            node = loader.get_single_node()
            if not loader.is_doubtful:
                return loader, node
        except (yaml.YAMLError, UnicodeError):
            pass
    loader = _Loader(text)
    return loader, loader.get_single_node()


class _Reader:
    """Converts YAML nodes to values and records their places."""

    def __init__(self, loader: _Values, file: str, include: Include | None, into: Located, most: int) -> None:
        self._loader = loader
        self._file = file
        self._include = include
        self._into = into
        self._most = most
        self._open: list[yaml.Node] = []

    def read(self, node: yaml.Node, path: Path) -> Any:
        self._into.values[path] = self._place(node)
        self._loader.nodes_read += 1
        if self._loader.nodes_read > self._most:
            raise yaml.MarkedYAMLError(
                problem=f"it has more than {self._most} values with its aliases", problem_mark=node.start_mark
            )
        if any(node is outer for outer in self._open):
            return self._broken(node, path, "this alias refers to a value that contains it")
        self._open.append(node)
        try:
            if node.tag == "!include":
                return self._included(node, path)
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node, path)
            if isinstance(node, yaml.SequenceNode):
                for index, item in enumerate(node.value):
                    self._into.keys[(*path, index)] = self._place(item)
                return [self.read(item, (*path, index)) for index, item in enumerate(node.value)]
            return self._scalar(node, path)
        finally:
            self._open.pop()

    def _scalar(self, node: yaml.Node, path: Path) -> Any:
        if hidden := hidden_character(str(node.value)):
            return self._broken(node, path, f"the text contains the hidden character {hidden}; remove it")
        try:
            return self._loader.construct_object(node)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        except (yaml.YAMLError, ValueError):
            return self._broken(node, path, f"{node.value!r} cannot be read as {node.tag}")

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        values: dict[str, Any] = {}
        merges: list[yaml.Node] = []
        seen: dict[Hashable, Place] = {}
        pairs: list[tuple[yaml.Node, yaml.Node]] = node.value
        for key, value in pairs:
            if not isinstance(key, yaml.ScalarNode):
                self._problem(key, path, "a key must be a single word or number")
            elif hidden := hidden_character(key.value):
                self._problem(key, path, f"a key contains the hidden character {hidden}; remove it")
            elif key.tag == "tag:yaml.org,2002:merge":
                merges.extend(value.value if isinstance(value, yaml.SequenceNode) else [value])
            elif key.value in seen:
                inner = (*path, key.value)
                self._problem(key, inner, f"key given twice; the first is at line {seen[key.value].line}")
            else:
                seen[key.value] = self._into.keys[(*path, key.value)] = self._place(key)
                values[key.value] = self.read(value, (*path, key.value))
        for merge in merges:
            self._merge(merge, path, values)
        return values

    def _merge(self, node: yaml.Node, path: Path, values: dict[str, Any]) -> None:
        other = Located()
        reader = _Reader(self._loader, self._file, self._include, other, self._most)
        reader._open = self._open
        merged = mapping(reader.read(node, ()))
        self._into.problems.extend(other.problems)
        if other.broken == {()}:
            self._into.broken.add(path)
        elif merged is None:
            self._problem(node, path, "<< needs a mapping, or a list of mappings")
        else:
            own = set(values)
            values.update({key: value for key, value in merged.items() if key not in own})
            for table, mine in ((other.keys, self._into.keys), (other.values, self._into.values)):
                mine.update({path + inner: place for inner, place in table.items() if inner and inner[0] not in own})
            self._into.broken.update(path + inner for inner in other.broken if inner[0] not in own)

    def _included(self, node: yaml.Node, path: Path) -> Any:
        if self._include is None or not isinstance(node, yaml.ScalarNode):
            return self._broken(node, path, "!include needs a file name, and works only in the description")
        found = self._include(str(node.value), self._place(node))
        self._into.adopt(found, path)
        self._into.problems.extend(
            Problem(place=problem.place, path=problem.path or show(path), message=problem.message)
            for problem in found.problems
        )
        return found.value

    def _broken(self, node: yaml.Node, path: Path, message: str) -> None:
        self._problem(node, path, message)
        self._into.broken.add(path)

    def _problem(self, node: yaml.Node, path: Path, message: str) -> None:
        self._into.problems.append(Problem(place=self._place(node), path=show(path), message=message))

    def _place(self, node: yaml.Node) -> Place:
        return Place(self._file, node.start_mark.line + 1)
