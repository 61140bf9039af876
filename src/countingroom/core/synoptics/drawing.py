"""Reads a drawing (SVG) from an untrusted source, and keeps only what allowed.py lists. Pure.

`read_drawing` raises Mistaken, with lines, for what is not a drawing at all or exceeds a limit. Everything else that is
not allowed is removed and reported: scripts, event attributes, styles that load, references to other files, animations,
foreign objects. Entities are refused, so that none can expand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NoReturn
from xml.parsers import expat

from countingroom.core.plain_text import hidden_character
from countingroom.core.synoptics.allowed import (
    ELEMENTS,
    LONG,
    NUMBER,
    PROPERTIES,
    SVG,
    UNWRAPPED,
    WORDS,
    XLINK,
    reference,
    right_value,
)
from countingroom.core.synoptics.class_rules import class_rules, declarations
from countingroom.core.synoptics.elements import (
    MOST_BYTES,
    MOST_DEPTH,
    MOST_ELEMENTS,
    MOST_IMAGE,
    MOST_PATH,
    MOST_TEXT,
    Drawing,
    Element,
    Removed,
)
from countingroom.core.yaml.located import Mistaken, Place, Problem

_ID = re.compile(r"[^\s\"'()<>\\#&]{1,200}")
_EDITORS = ("inkscape", "sodipodi", "adobe", "figma", "bohemiancoding", "purl.org", "w3.org/1999/02/22-rdf", "serif")
"""Parts of the namespaces of drawing programs, whose data draw nothing."""
_HARMLESS = frozenset({"version", "baseProfile", "xmlns", "role", "class", "style", "id", "tabindex", "space", "lang"})
"""Attributes that are left out, or dealt with apart, without a word."""
_MOST_REMOVED = 500
_MOST_CHAIN = 200
_MOST_STYLE = 64 * 1024
_KNOWN = {
    "script": "a drawing runs no program",
    "foreignObject": "a drawing holds no page",
    "style": "",
    "metadata": "",
}


def read_drawing(data: bytes, name: str) -> Drawing:
    """The drawing in these bytes; `name` is that of the file, for mistakes. Raises Mistaken."""
    if len(data) > MOST_BYTES:
        raise _mistaken(name, 0, f"the drawing has {len(data)} bytes; at most {MOST_BYTES} are read")
    reader = _Reader(name)
    try:
        reader.parser.Parse(data, True)
    except expat.ExpatError as error:
        message = expat.ErrorString(error.code)
        raise _mistaken(name, error.lineno, f"not an SVG: {message}") from None
    except (ValueError, LookupError) as error:  # an encoding that Python does not know
        raise _mistaken(name, 1, f"not an SVG: {error}") from None
    if reader.root is None:
        raise _mistaken(name, 1, "not an SVG: the file has no element <svg>")
    return _finish(reader, reader.root)


def _mistaken(name: str, line: int, message: str) -> Mistaken:
    return Mistaken([Problem(place=Place(name, line), message=message)])


class _Reader:
    """Builds the tree of elements while expat reads."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.root: Element | None = None
        self.removed: list[Removed] = []
        self.editor_data = 0
        self.styles: list[tuple[int, str]] = []
        self._style: list[str] | None = None
        self._style_line = 0
        self._open: list[Element | None] = []
        """The elements that are open; None: one that is left out while its content stays."""
        self._skipped = 0
        """How deep in an element that is left out with its content."""
        self._ids: set[str] = set()
        self._count = 0
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        self.parser.EntityDeclHandler = self._entity
        self.parser.ProcessingInstructionHandler = self._instruction

    def remove(self, what: str, why: str = "", line: int = 0) -> None:
        """Report that something was removed."""
        if len(self.removed) < _MOST_REMOVED:
            self.removed.append(Removed(line=line or self.parser.CurrentLineNumber, what=what, why=why))

    def _refuse(self, message: str) -> NoReturn:
        raise _mistaken(self.name, self.parser.CurrentLineNumber, message)

    def _entity(self, *_: object) -> None:
        self._refuse("the drawing declares entities, which is refused; save it as plain SVG")

    def _instruction(self, target: str, _: str) -> None:
        self.remove(f"<?{target[:40]}?>", "a drawing takes nothing from other files")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._count += 1
        if self._count > MOST_ELEMENTS:
            self._refuse(f"the drawing has more than {MOST_ELEMENTS} elements")
        if len(self._open) + self._skipped > MOST_DEPTH:
            self._refuse(f"the elements of the drawing stand more than {MOST_DEPTH} deep in each other")
        if self._skipped:
            self._skipped += 1
            return
        space, _, name = tag.rpartition(" ")
        if self.root is None and (space, name) != (SVG, "svg"):
            self._refuse(f"the file begins with <{name[:40]}>; an SVG begins with <svg xmlns={SVG!r}>")
        if space == SVG and name in UNWRAPPED:
            if name == "a":
                self.remove("<a>", "elements lead where their binding says; what is in it stays")
            self._open.append(None)
        elif space != SVG or name not in ELEMENTS or (name == "svg" and self.root is not None) or self._in_words():
            self._skip(space, name)
        else:
            self._add(self._element(name, attributes))

    def _in_words(self) -> bool:
        return any(one is not None and one.name in WORDS for one in self._open)

    def _skip(self, space: str, name: str) -> None:
        self._skipped = 1
        if space == SVG and name == "style":
            self._style = []
            self._style_line = self.parser.CurrentLineNumber
        elif (space != SVG and any(word in space for word in _EDITORS)) or name == "metadata":
            self.editor_data += 1
        else:
            self.remove(f"<{name[:40]}>", _KNOWN.get(name, "this element is not allowed in a drawing"))

    def _add(self, element: Element) -> None:
        holder = next((one for one in reversed(self._open) if one is not None), None)
        if holder is None:
            self.root = element
        else:
            holder.content.append(element)
        self._open.append(element)

    def _end(self, _: str) -> None:
        if self._skipped:
            self._skipped -= 1
            if not self._skipped and self._style is not None:
                self.styles.append((self._style_line, "".join(self._style)))
                self._style = None
        else:
            self._open.pop()

    def _text(self, text: str) -> None:
        if self._style is not None:
            self._style.append(text)
        if self._skipped:
            return
        holder = next((one for one in reversed(self._open) if one is not None), None)
        if holder is None or holder.name not in ("text", "tspan", *WORDS):
            return
        if len(text) > MOST_TEXT:
            self._refuse(f"a text of the drawing has more than {MOST_TEXT} characters")
        if hidden_character(text):
            text = "".join(" " if hidden_character(one) else one for one in text)
        holder.content.append(text)

    def _element(self, name: str, given: dict[str, str]) -> Element:
        element = Element(name=name, line=self.parser.CurrentLineNumber)
        style = ""
        for key, value in given.items():
            space, _, attribute = key.rpartition(" ")
            if space and space != XLINK:
                self.editor_data += any(word in space for word in _EDITORS)
            elif attribute == "id":
                self._name(element, value)
            elif attribute == "class":
                element.classes = tuple(value.split())[:20]
            elif attribute == "style":
                style = value
            elif space and attribute != "href":
                continue  # titles and types of links
            else:
                self._attribute(element, attribute, value)
        for key, value in declarations(style[:MOST_TEXT]):  # a style is stronger than an attribute
            if key in PROPERTIES:
                self._attribute(element, key, value)
            elif "url" in value.lower():
                self.remove(f"{key[:40]} of <{name}>", "it would load or change what it refers to")
        return element

    def _name(self, element: Element, value: str) -> None:
        if not _ID.fullmatch(value) or any(hidden_character(one) for one in value):
            self.remove(f"id of <{element.name}>", "an id has no spaces, quotes or brackets")
        elif value in self._ids:
            self.remove(f"id {value} of <{element.name}>", "another element has it already")
        else:
            self._ids.add(value)
            element.id = value

    def _attribute(self, element: Element, name: str, value: str) -> None:
        value = value.replace("!important", "").strip()
        most = MOST_PATH if name in LONG else MOST_IMAGE if name == "href" and element.name == "image" else MOST_TEXT
        if len(value) > most:
            self.remove(f"{name[:40]} of <{element.name}>", f"it has {len(value)} characters; at most {most} are read")
        elif right_value(element.name, name, value):
            element.attributes[name] = value
        elif name not in _HARMLESS and not name.startswith(("data-", "aria-")):
            self.remove(f"{name[:40]} of <{element.name}>", _why(name, value))


def _why(name: str, value: str) -> str:
    if name.startswith("on"):
        return "a drawing runs no program"
    if name == "href" or "url" in value.lower():
        return "it refers to another file or to what is not in the drawing"
    return f"{value[:40]!r} is not allowed here" if name in PROPERTIES else ""


def _finish(reader: _Reader, root: Element) -> Drawing:
    _apply_classes(reader, root)
    _remove_dangling(reader, root)
    for one in root.elements():
        if one.name in ("a", "script"):  # nothing reaches this; the lists above are closed
            raise _mistaken(reader.name, one.line, f"<{one.name}> was not removed")
    box = _box(root.attributes)
    if box is None:
        raise _mistaken(reader.name, root.line, "the drawing has no size: give <svg> a viewBox, or width and height")
    return Drawing(
        root=root,
        box=box,
        removed=tuple(sorted(reader.removed, key=lambda one: one.line)),
        editor_data=reader.editor_data,
    )


def _apply_classes(reader: _Reader, root: Element) -> None:
    """Write the rules of <style> for single classes into the elements that have them."""
    rules: dict[str, dict[str, str]] = {}
    for line, text in reader.styles:
        if len(text) > _MOST_STYLE:
            reader.remove("<style>", f"it has {len(text)} characters; at most {_MOST_STYLE} are read", line)
            continue
        found, others = class_rules(text, _is_property)
        for name, properties in found.items():
            rules.setdefault(name, {}).update(properties)
        for other in others:
            reader.remove(f"rule {other[:60]} of <style>", "only rules for one class are read: .name { … }", line)
    if not rules:
        return
    for element in root.elements():
        for name in element.classes:
            element.attributes.update(rules.get(name, {}))


def _is_property(name: str, value: str) -> bool:
    pattern = PROPERTIES.get(name)
    return pattern is not None and len(value) <= MOST_TEXT and pattern.fullmatch(value) is not None


def _references(element: Element) -> Iterator[tuple[str, str]]:
    for name, value in element.attributes.items():
        if wanted := reference(name, value):
            yield name, wanted


def _remove_dangling(reader: _Reader, root: Element) -> None:
    """Remove references to missing elements, and circles of references. Raises Mistaken if elements that reference
    others would draw too many elements: a small file could otherwise make a page of any size."""
    known = {one.id: one for one in root.elements() if one.id}
    for element in root.elements():
        for name, wanted in list(_references(element)):
            if wanted not in known:
                del element.attributes[name]
                reader.remove(f"{name} of <{element.name}>", f"there is no #{wanted[:60]}", element.line)
    drawn: dict[int, int] = {}
    open_: set[int] = set()

    def count(element: Element) -> int:
        key = id(element)
        if key in drawn:
            return drawn[key]
        if len(open_) > _MOST_CHAIN:
            raise _mistaken(reader.name, element.line, f"more than {_MOST_CHAIN} elements use one another in a chain")
        open_.add(key)
        total = 1 + sum(count(child) for child in element.content if isinstance(child, Element))
        for name, wanted in list(_references(element)):
            other = known[wanted]
            if id(other) in open_:
                del element.attributes[name]
                reader.remove(f"{name} of <{element.name}>", f"#{wanted[:60]} contains this element", element.line)
            elif element.name == "use" or name != "href":
                total += count(other)
            if total > MOST_ELEMENTS:
                message = f"elements that use others draw more than {MOST_ELEMENTS}"
                raise _mistaken(reader.name, element.line, message)
        open_.discard(key)
        drawn[key] = total
        return total

    count(root)


def _box(attributes: dict[str, str]) -> tuple[float, float, float, float] | None:
    numbers = [float(one) for one in NUMBER.findall(attributes.get("viewBox", ""))]
    if len(numbers) != 4:
        sides = [NUMBER.match(attributes.get(name, "")) for name in ("width", "height")]
        numbers = [0.0, 0.0, *(float(one[0]) for one in sides if one)]
    if len(numbers) != 4 or not (0 < numbers[2] < 1e6 and 0 < numbers[3] < 1e6):
        return None
    if not (abs(numbers[0]) < 1e6 and abs(numbers[1]) < 1e6):
        return None
    return numbers[0], numbers[1], numbers[2], numbers[3]
