"""The revisions of a configuration say what each of them changed."""

from __future__ import annotations

from countingroom.core.configurations import ConfigurationRevision, with_changes
from countingroom.core.values import Scalar


def revision(number: int, tag: str = "beam", **parameters: Scalar) -> ConfigurationRevision:
    return ConfigurationRevision(
        system="STS", tag=tag, revision=number, parameters=parameters, saved_by="anna", saved_ns=number
    )


def test_each_revision_is_compared_with_the_one_before_it_of_its_tag() -> None:
    given = [
        revision(2, threshold=47, gain=1),
        revision(2, "noise", a=1),
        revision(1, threshold=40),
        revision(1, "noise", a=1),
    ]
    found = [
        (one.tag, one.revision, [(change.name, change.before, change.after) for change in changes])
        for one, changes in with_changes(given)
    ]
    assert found == [
        ("beam", 2, [("gain", None, 1), ("threshold", 40, 47)]),
        ("noise", 2, []),
        ("beam", 1, []),
        ("noise", 1, []),
    ]
