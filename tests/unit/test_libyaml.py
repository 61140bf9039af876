"""A description has the same values, lines and mistakes whether libyaml is there or not."""

from __future__ import annotations

import pytest

from countingroom.core.yaml import located
from countingroom.core.yaml.located import parse

TEXTS = (
    "a: &x {b: 1, c: [0x1F, on]}\nd:\n  <<: *x\n  e: >-\n    folded\n    text\n",
    "a: 1\na: 2\n",
    "a: b: c\n",
    "a:\n\tb: 1\n",
    "a: {b: 1,\tc: 2}\n",
    "a: [war?ing, 1]\n",
    "a: 'M?'\nb: [1, 2\n",
    "a: *none\n",
    "a: \x07\n",
    "a: \ud800\n",
    "a: 1\n---\nb: 2\n",
    "# one\u2028a: 1\n",
    "[" * 5000,
    "",
)


@pytest.mark.skipif(located.fast_loader is None, reason="PyYAML is built without libyaml")
@pytest.mark.parametrize("text", TEXTS)
def test_libyaml_changes_nothing_but_the_time(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = parse(text, file="x.yaml")
    monkeypatch.setattr(located, "fast_loader", None)
    assert repr(found) == repr(parse(text, file="x.yaml"))
