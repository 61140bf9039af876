"""Reads the YAML files of a description, with includes, into one value. Each part keeps its file and line.

`!include other.yaml` inserts the content of that file at any value, also as `<<: !include other.yaml`.
`include: [a.yaml, "devices/*.yaml"]` at the top level of a file merges the sections of other files into it; a key that
two files give is a mistake. File names are relative to the file that contains them. Files are only read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, cast

from countingroom.core.yaml.located import Located, Place, Problem, mapping, parse, show
from countingroom.core.yaml.located import Path as KeyPath

_WILD = "*?["
_MOST_CHARACTERS = 10_000_000


def read(path: Path) -> Located:
    """The description in this file and all it includes. Mistakes in the files are in `problems`; they raise no
    error."""
    return _Files().document(path, Place(str(path)))


class _Files:
    """One pass over the files. It keeps the stack of open files to find a file that includes itself."""

    def __init__(self) -> None:
        self._open: list[Path] = []

    def document(self, path: Path, wanted: Place) -> Located:
        """A file with its top-level `include`."""
        located = self.content(path, wanted)
        value = mapping(located.value)
        if value is None:
            return located
        for key in [key for key in value if key.startswith("x-") or (value[key] is None and key != "include")]:
            del value[key]
        if "include" not in value:
            return located
        names = value.pop("include")
        self._open.append(path.resolve())
        for found, place in self._named(names, located, path):
            self._merge(located, self.document(found, place))
        self._open.pop()
        return located

    def content(self, path: Path, wanted: Place) -> Located:
        """A file with its `!include`s. When it cannot be read, a problem at `wanted`, the place of the include."""
        if path.resolve() in self._open:
            return _nothing(wanted, f"{path} includes itself: {' → '.join(str(one.name) for one in self._open)}")
        try:
            with path.open(encoding="utf-8") as file:
                text = file.read(_MOST_CHARACTERS + 1)
        except UnicodeDecodeError:
            return _nothing(wanted, f"{path} is not a text in UTF-8")
        except OSError as error:
            return _nothing(wanted, f"cannot read {path}: {error.strerror or error}")
        if len(text) > _MOST_CHARACTERS:
            return _nothing(
                wanted, f"{path} is longer than any description: {_MOST_CHARACTERS} characters are the most"
            )
        self._open.append(path.resolve())
        try:
            return parse(text, file=str(path), include=lambda name, place: self.content(path.parent / name, place))
        finally:
            self._open.pop()

    def _named(self, names: Any, located: Located, path: Path) -> Iterator[tuple[Path, Place]]:
        listed = cast(list[Any], names) if isinstance(names, list) else [names]
        for index, name in enumerate(listed):
            spot = ("include", index) if isinstance(names, list) else ("include",)
            place = located.place(spot)
            if not isinstance(name, str) or not name:
                message = "expected the name of a file, or a pattern such as devices/*.yaml"
                located.problems.append(Problem(place=place, path=show(spot), message=message))
                continue
            wild = any(sign in name for sign in _WILD)
            found = sorted(path.parent.glob(name)) if wild else [path.parent / name]
            if not found:
                message = f"no file matches {path.parent / name}"
                located.problems.append(Problem(place=place, path=show(spot), message=message))
            yield from ((one, place) for one in found)

    def _merge(self, into: Located, other: Located) -> None:
        """Add the sections of the other file. A key that both files give is a mistake."""
        into.problems.extend(other.problems)
        if other.broken == {()}:
            into.broken.add(())
            return
        ours, theirs = mapping(into.value), mapping(other.value)
        if ours is None or theirs is None:
            message = "expected sections such as `devices:`"
            into.problems.append(Problem(place=other.place((), of_value=True), message=message))
            return
        for section, content in theirs.items():
            mine, more = mapping(ours.get(section)), mapping(content)
            if section not in ours:
                ours[section] = content
                _adopt(into, other, (section,))
            elif mine is not None and more is not None:
                for key, value in more.items():
                    if key in mine:
                        self._twice(into, other, (section, key))
                    else:
                        mine[key] = value
                        _adopt(into, other, (section, key))
            else:
                self._twice(into, other, (section,))

    def _twice(self, into: Located, other: Located, path: tuple[str, ...]) -> None:
        message = f"given in two files; the first is {into.place(path)}"
        into.problems.append(Problem(place=other.place(path), path=show(path), message=message))


def _adopt(into: Located, other: Located, path: tuple[str, ...]) -> None:
    length = len(path)
    into.keys.update({inner: place for inner, place in other.keys.items() if inner[:length] == path})
    into.values.update({inner: place for inner, place in other.values.items() if inner[:length] == path})
    into.broken.update(inner for inner in other.broken if inner[:length] == path)


def take_paths_from_their_files(located: Located, main: Path, paths: Iterable[KeyPath]) -> None:
    """Make file names of included files relative to the file that has them: those at these paths, in which `*` stands
    for any key. A name that exists only beside the main file, where all were searched in former versions, stays."""
    patterns = tuple(paths)
    folders = {file: Path(file).parent for file in {place.file for place in located.values.values()}}
    elsewhere = {file: folder for file, folder in folders.items() if folder != main}
    for spot, place in located.values.items() if elsewhere else ():
        own = elsewhere.get(place.file)
        if own is None or not any(_matches(pattern, spot) for pattern in patterns):
            continue
        holder = located.value
        for part in spot[:-1]:
            holder = (mapping(holder) or {}).get(str(part))
        table = mapping(holder)
        name = table.get(str(spot[-1])) if table else None
        if table and isinstance(name, str) and name and ((own / name).exists() or not (main / name).exists()):
            table[str(spot[-1])] = str((own / name).absolute())


def _matches(pattern: KeyPath, path: KeyPath) -> bool:
    return len(pattern) == len(path) and all(wanted in ("*", part) for wanted, part in zip(pattern, path, strict=True))


def _nothing(place: Place, message: str) -> Located:
    return Located(problems=[Problem(place=place, message=message)], broken={()}, values={(): place})
