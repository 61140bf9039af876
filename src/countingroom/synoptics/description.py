"""The section `synoptics` of the description: drawings, and what their elements show."""

from __future__ import annotations

import re
from collections.abc import ItemsView, Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, RootModel, model_validator

from countingroom.core.synoptics.bindings import PLAIN, Binding, Fill, Target, TargetKind, Turn, Visible
from countingroom.core.yaml.section import Name, Reference, Section

Problem = tuple[tuple[str | int, ...], str]

_FIELDS = frozenset({"value", "unit", "name"})
_FIELD = re.compile(r"\{([^{}]*)\}")


def _text(value: str) -> str:
    rest = _FIELD.sub("", value)
    unknown = [one for one in _FIELD.findall(value) if one not in _FIELDS]
    if unknown or "{" in rest or "}" in rest:
        raise ValueError(f"a text holds {{value}}, {{unit}} and {{name}}; got {value!r}")
    return value


def _page(value: str) -> str:
    if not value.startswith("/") or value.startswith("//") or "\\" in value:
        raise ValueError(f"a page is a path of this console, such as /trends?view=cooling; got {value!r}")
    return value


class Range(Section):
    """The range of a value."""

    low: float = 0.0
    high: float

    @model_validator(mode="after")
    def _in_order(self) -> Range:
        if self.high <= self.low:
            raise ValueError(f"high must be above low; got {self.low:g} and {self.high:g}")
        return self


class FillSection(Range):
    """Filled in proportion to the value."""

    towards: Literal["up", "right"] = "up"


class TurnSection(Range):
    """Turned in proportion to the value, in degrees clockwise."""

    start: float = -120.0
    """At `low`."""
    end: float = 120.0
    """At `high`."""
    about: Literal["centre", "left", "right", "top", "bottom"] = "centre"
    """The point of the element that stays where it is."""


class VisibleSection(Section):
    """When the element is seen. Without evidence, and in an alarm, it always is."""

    when: tuple[str | bool | int | float, ...] = ()
    """States or values: `[RUNNING]`, `[true]`."""
    above: float | None = None
    below: float | None = None

    def problems(self) -> Iterator[Problem]:
        """It says when."""
        if not self.when and self.above is None and self.below is None:
            yield (), "say when it is seen: when: [RUNNING], above: 5 or below: 5"


class BindingSection(Section):
    """What one element shows: exactly one of the first eight keys."""

    point: str | None = None
    """A point, `<device>.<point>`."""
    device: Name | None = None
    """The state of a device."""
    channel: str | None = None
    """The state of a channel, `<device>.<channel>`."""
    area: str | None = None
    """The worst alarm of an area: `cooling/chiller`."""
    partition: Name | None = None
    """The state of a partition."""
    system: Name | None = None
    """The state of a system in its partition."""
    synoptic: Name | None = None
    """Leads to another synoptic."""
    page: Annotated[str, AfterValidator(_page)] | None = None
    """Leads to a page of the console: `/trends?view=cooling`."""
    text: Annotated[str, AfterValidator(_text)] | bool | None = None
    """The text: `T = {value} {unit}`. `false`: it is not written. Left out: `{value} {unit}` for a text of the
    drawing."""
    precision: Annotated[int, Field(ge=0, le=9)] | None = None
    """Decimals; those of the point where left out."""
    level: FillSection | None = None
    turn: TurnSection | None = None
    visible: VisibleSection | None = None

    @property
    def targets(self) -> list[Target]:
        """All that it names; one where it is right."""
        return [Target(kind, name) for kind in TargetKind if (name := getattr(self, kind.value)) is not None]

    def problems(self) -> Iterator[Problem]:
        """Not exactly one target, or a use that the target has no value for."""
        targets = self.targets
        if len(targets) != 1:
            told = " and ".join(target.kind for target in targets) or "none"
            yield (), f"name one of {', '.join(TargetKind)}; got {told}"
            return
        kind = targets[0].kind
        for key in ("level", "turn", "precision"):
            if getattr(self, key) is not None and kind is not TargetKind.POINT:
                yield (key,), f"a {kind} has no number; {key} needs a point"
        for key in ("text", "visible"):
            if targets[0].only_leads and getattr(self, key) not in (None, False):
                yield (key,), f"a {kind} has no value to show"

    def binding(self, element: str) -> Binding:
        """The binding of the element with this id."""
        level, turn, visible = self.level, self.turn, self.visible
        text = {True: PLAIN, False: ""}[self.text] if isinstance(self.text, bool) else self.text
        return Binding(
            element=element,
            target=self.targets[0],
            text=text,
            precision=self.precision,
            level=level and Fill(low=level.low, high=level.high, towards=level.towards),
            turn=turn and Turn(low=turn.low, high=turn.high, start=turn.start, end=turn.end, about=turn.about),
            visible=visible and Visible(words=visible.when, above=visible.above, below=visible.below),
            described=True,
        )


class SynopticSection(Section):
    """One drawing."""

    file: str
    """The SVG, relative to the file that names it. It is read again when it has changed."""
    title: str = ""
    """For people; the name where left out."""
    overview: bool = False
    """Shown on the overview too. One may be."""
    colours: Literal["adapt", "as_drawn"] = "adapt"
    """`adapt`: on dark pages light colours become dark and dark ones light. `as_drawn`: they stay."""
    bind: dict[str, BindingSection] = {}
    """Id of an element -> what it shows. An id that is a point (`chiller.internal_temp`) or names a kind
    (`device:caen`) needs no entry."""


class SynopticsSection(RootModel[dict[Name, SynopticSection]]):
    """Name -> a drawing that shows points and states."""

    root: dict[Name, SynopticSection] = {}

    file_names: ClassVar[tuple[tuple[str, ...], ...]] = (("*", "file"),)

    def items(self) -> ItemsView[str, SynopticSection]:
        """The drawings in the order of the description."""
        return self.root.items()

    def references(self) -> Iterator[Reference]:
        """The devices, in the section `devices`."""
        for name, one in self.root.items():
            for element, bound in one.bind.items():
                for key in ("device", "point", "channel"):
                    if given := getattr(bound, key):
                        path, device = (name, "bind", element, key), given.partition(".")[0]
                        yield Reference(path=path, section="devices", kind="device", name=device)

    def problems(self) -> Iterator[Problem]:
        """Two on the overview; a link to what is not there."""
        shown = [name for name, one in self.root.items() if one.overview]
        for name in shown[1:]:
            yield (name, "overview"), f"{shown[0]} is on the overview already; one synoptic may be"
        for name, one in self.root.items():
            for element, bound in one.bind.items():
                if bound.synoptic is not None and bound.synoptic not in self.root:
                    known = ", ".join(self.root)
                    yield (name, "bind", element, "synoptic"), f"there is no synoptic {bound.synoptic}; known: {known}"
