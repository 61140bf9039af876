"""Writes a drawing as SVG that stands inside a page of the console. Pure.

Only what drawing.py kept is written. Ids get a prefix, so that none is that of another part of the page, and no style
or class of the drawing reaches it. A bound element stands in a link with `data-sy`; its text is `–` until a page has a
value for it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from html import escape

from countingroom.core.synoptics.allowed import LOCAL, SHAPES, SVG, TEXTS, WORDS, reference
from countingroom.core.synoptics.bindings import Binding, Target
from countingroom.core.synoptics.colours import for_both
from countingroom.core.synoptics.elements import Drawing, Element

NOTHING = "–"
_PAINTS = ("fill", "stroke", "stop-color", "color")
_DROPPED = frozenset({"width", "height", "viewBox", "preserveAspectRatio", "x", "y", "overflow"})
"""Attributes of the root that the page decides."""
_SPACES = re.compile(r"\s+")


def write(
    drawing: Drawing,
    bindings: list[Binding],
    *,
    prefix: str,
    label: str,
    address: Callable[[Target], str],
    adapt: bool = True,
) -> str:
    """The drawing as `<svg>`. `prefix`: of its ids, unique in the page. `address`: the page of a target."""
    return "".join(_Writer(drawing, bindings, prefix, address, adapt).root(label))


class _Writer:
    def __init__(
        self,
        drawing: Drawing,
        bindings: list[Binding],
        prefix: str,
        address: Callable[[Target], str],
        adapt: bool,
    ) -> None:
        self._drawing = drawing
        self._bindings = {one.element: (number, one) for number, one in enumerate(bindings)}
        self._prefix = prefix
        self._ids = {name: f"{prefix}-{number}" for number, name in enumerate(drawing.by_id())}
        self._address = address
        self._adapt = adapt
        self._written: dict[int, int] = {}
        """Element whose text is written by the page -> number of the binding."""
        self._emptied: set[int] = set()
        """Elements of such a text that are left out."""
        self._around: set[int] = set()
        """Elements around such a text, whose own text is left out."""
        self._both: dict[str, str] = {}
        """Paint -> the same for light and dark pages."""
        self._painted: dict[int, int] = {}
        """Element that is coloured -> number of the binding."""

    def root(self, label: str) -> Iterator[str]:
        """The whole drawing."""
        root = self._drawing.root
        box = " ".join(f"{one:g}" for one in self._drawing.box)
        own = {name: value for name, value in root.attributes.items() if name not in _DROPPED}
        if self._adapt:
            own.setdefault("fill", "#000000")
        yield f'<svg xmlns="{SVG}" viewBox="{box}" role="group" aria-label="{escape(label)}"'
        yield from self._attributes(own)
        yield ">"
        for child in root.content:
            if isinstance(child, Element):
                yield from self._element(child)
        yield "</svg>"

    def _element(self, element: Element) -> Iterator[str]:
        if element.name in WORDS or id(element) in self._emptied:
            return
        bound = self._bindings.get(element.id)
        if bound:
            number, one = bound
            self._prepare(element, number, one)
            yield f'<a class="sy" data-sy="{number}" href="{escape(self._address(one.target))}"'
            yield f' aria-label="{escape(str(one.target))}: no value yet">'
        adapts = self._adapt
        if element.name == "mask":  # in it a colour is not seen, it says how much is
            self._adapt = False
        yield f"<{element.name}"
        yield from self._attributes(element.attributes)
        marks: Mapping[str, dict[int, int]] = {"data-sy-t": self._written, "data-sy-p": self._painted}
        for mark, numbers in marks.items():
            if id(element) in numbers:
                yield f' {mark}="{numbers[id(element)]}"'
        if id(element) in self._painted:
            yield f' class="sy-p{" sy-w" if element.name in TEXTS else ""}"'
        if element.id:
            yield f' id="{self._ids[element.id]}"'
        yield ">"
        if id(element) in self._written:
            yield NOTHING
        else:
            for child in element.content:
                if isinstance(child, Element):
                    yield from self._element(child)
                elif element.name in TEXTS and id(element) not in self._around:
                    yield escape(child)
        yield f"</{element.name}>"
        self._adapt = adapts
        if bound:
            yield "</a>"

    def _prepare(self, element: Element, number: int, one: Binding) -> None:
        """Choose which element of a bound one holds the text, and which is coloured: of a group the first shape."""
        inner = list(element.elements())
        if one.text and (text := next((part for part in inner if part.name in TEXTS), None)):
            leaf = text
            while parts := [part for part in leaf.content if isinstance(part, Element)]:
                self._around.add(id(leaf))
                self._emptied.update(id(part) for part in parts[1:])
                leaf = parts[0]
            self._written[id(leaf)] = number
        if not one.target.only_leads:
            shape = next((part for part in inner if part.name in SHAPES or part.name in (*TEXTS, "use")), None)
            if shape is not None:
                self._painted.setdefault(id(shape), number)

    def _attributes(self, attributes: Mapping[str, str]) -> Iterator[str]:
        for name, value in attributes.items():
            yield f' {name}="{escape(self._value(name, value))}"'

    def _value(self, name: str, value: str) -> str:
        if wanted := reference(name, value):
            new = self._ids[wanted]
            return f"#{new}" if name == "href" else LOCAL.sub(f"url(#{new})", value)
        if not self._adapt or name not in _PAINTS:
            return _SPACES.sub(" ", value)
        if value not in self._both:
            self._both[value] = for_both(value)
        return self._both[value]
