"""The parts of a drawing after it was read: elements, and what was removed. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct, field

MOST_BYTES = 2 * 1024 * 1024
MOST_ELEMENTS = 20_000
"""Elements that are drawn: one that is used several times counts each time."""
MOST_DEPTH = 64
MOST_TEXT = 2000
"""Characters of a text, or of an attribute that is not a path."""
MOST_PATH = 256 * 1024
MOST_IMAGE = 1024 * 1024


class Element(Struct, kw_only=True):
    """An element of a drawing with what is allowed of it."""

    name: str
    line: int
    id: str = ""
    """As in the file."""
    classes: tuple[str, ...] = ()
    attributes: dict[str, str] = field(default_factory=dict[str, str])
    content: list[Element | str] = field(default_factory=list["Element | str"])

    def elements(self) -> Iterator[Element]:
        """This element and all in it, in the order of the file."""
        waiting: list[Element] = [self]
        while waiting:
            one = waiting.pop()
            yield one
            waiting.extend(child for child in reversed(one.content) if isinstance(child, Element))

    def text(self) -> str:
        """All text in it."""
        return "".join(child if isinstance(child, str) else child.text() for child in self.content)


class Removed(Struct, frozen=True, kw_only=True):
    """Something that was in the file and is not in the drawing."""

    line: int
    what: str
    """`<script>`, `onclick of <rect>`, `fill of <path>: url(http…`."""
    why: str = ""

    def __str__(self) -> str:
        return f"{self.what}: {self.why}" if self.why else self.what


class Drawing(Struct, frozen=True, kw_only=True):
    """A drawing that is safe to be put into a page."""

    root: Element
    box: tuple[float, float, float, float]
    """Left, top, width and height of what is seen, in units of the drawing."""
    removed: tuple[Removed, ...] = ()
    editor_data: int = 0
    """Elements and attributes of drawing programs that were left out: they draw nothing."""

    def by_id(self) -> dict[str, Element]:
        """Id -> element. Ids of a drawing are unique."""
        return {one.id: one for one in self.root.elements() if one.id}
