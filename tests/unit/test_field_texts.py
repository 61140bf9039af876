"""The schema of a section has the texts below its fields."""

from __future__ import annotations

from pydantic import Field

from countingroom.core.yaml.field_texts import SchemaWithTexts
from countingroom.core.yaml.section import Section


class Parent(Section):
    speed: float
    """In m/s,
    along the beam."""
    name: str
    """The parent's."""
    bare: int = 0


class Child(Parent):
    name: str
    part: Parent = Field(alias="piece")
    """A piece of it."""
    own: int = Field(1, description="Its own.")
    """Not this."""


def texts(model: type[Section]) -> dict[str, str | None]:
    made = model.model_json_schema(schema_generator=SchemaWithTexts)
    return {key: shown.get("description") for key, shown in made["properties"].items()}


def test_a_field_has_the_text_below_it_or_its_own() -> None:
    assert texts(Parent) == {"speed": "In m/s,\nalong the beam.", "name": "The parent's.", "bare": None}


def test_texts_are_inherited_until_the_field_is_declared_again() -> None:
    found = texts(Child)
    assert found.pop("speed") == "In m/s,\nalong the beam."
    assert found == {"name": None, "bare": None, "piece": "A piece of it.", "own": "Its own."}


def test_a_class_without_a_source_has_no_texts() -> None:
    made = type("Made", (Section,), {"__annotations__": {"size": int}, "__module__": "nowhere"})
    assert texts(made) == {"size": None}
