"""An export reads well; an import tells every mistake at its line and does all or nothing."""

from __future__ import annotations

import pytest

from countingroom.core.configurations import ConfigurationSet
from countingroom.core.errors import Conflict, NotFound
from countingroom.core.yaml.located import Mistaken
from countingroom.storage.database import Database
from countingroom.storage.exchange import from_yaml, to_yaml
from countingroom.testing.clock import FakeClock

KEPT = ConfigurationSet(
    configurations={
        "TFC": {"default": {"rate": 1.0, "mode": "on", "gain": 1e20}},
        "STS": {"cold": {}, "warm": {"t": -10}},
    },
    tags={"physics": {"TFC": "default", "STS": "cold"}},
    schemas={"STS": {"properties": {"t": {"maximum": 0}}}},
)
TEXT = """\
configurations:
  STS:
    cold: {}
    warm:
      t: -10
  TFC:
    default:
      rate: 1.0
      mode: "on"
      gain: 1.0e+20
tags:
  physics:
    STS: cold
    TFC: default
schemas:
  STS:
    properties:
      t:
        maximum: 0
"""


def test_an_export_reads_well() -> None:
    assert to_yaml(KEPT) == TEXT
    assert from_yaml(TEXT) == KEPT
    assert from_yaml("") == ConfigurationSet()


def test_every_mistake_is_told_at_its_line() -> None:
    with pytest.raises(Mistaken) as told:
        from_yaml(
            "configuration: {}\n"
            "configurations:\n"
            "  S T S: {}\n"
            "  TFC:\n"
            "    default:\n"
            "      list: [1]\n"
            "    other: 5\n"
            "tags:\n"
            "  physics:\n"
            "    TFC: 7\n",
            file="c.yaml",
        )
    assert str(told.value).splitlines() == [
        "c.yaml:1: configuration: unknown key; the keys are configurations, tags and schemas",
        "c.yaml:3: configurations.S T S: a name may contain only letters, digits, _ and -",
        "c.yaml:6: configurations.TFC.default.list: a value must be a number, a text, true, false or null",
        "c.yaml:7: configurations.TFC.other: expected a mapping",
        "c.yaml:10: tags.physics.TFC: expected the name of a configuration; quote it if it looks like a number",
    ]


async def test_an_import_saves_what_differs_and_reports_it() -> None:
    database = Database("sqlite://", clock=FakeClock())
    await database.open()
    try:
        first = await database.configurations.put(KEPT, "anna", "from the old system")
        assert (len(first.configurations), len(first.tags), len(first.schemas)) == (3, 1, 1)
        assert await database.configurations.export() == KEPT
        again = await database.configurations.put(KEPT, "ben")
        assert (again.configurations, again.tags, again.schemas) == ((), (), ())
        more = ConfigurationSet(configurations={"STS": {"warm": {"t": -9}}})
        (changed,) = (await database.configurations.put(more, "ben")).configurations
        assert (changed.tag, changed.revision, changed.saved_by) == ("warm", 2, "ben")
    finally:
        await database.close()


async def test_an_import_is_one_change_or_none() -> None:
    database = Database("sqlite://", clock=FakeClock())
    await database.open()
    try:
        misfit = ConfigurationSet(configurations={"STS": {"hot": {"t": 5}}}, schemas=KEPT.schemas)
        dangling = ConfigurationSet(configurations={"STS": {"cold": {}}}, tags={"x": {"STS": "cold", "TFC": "none"}})
        with pytest.raises(Conflict):
            await database.configurations.put(misfit, "anna")
        with pytest.raises(NotFound):
            await database.configurations.put(dangling, "anna")
        assert await database.configurations.export() == ConfigurationSet()
    finally:
        await database.close()
