"""A role is ready with any of its processes; one that is named by itself needs that process."""

from __future__ import annotations

from countingroom.console.present.readiness import readiness
from countingroom.core.messages import Presence


def beat(role: str, instance: str = "main", *troubles: str) -> Presence:
    return Presence(
        role=role, instance=instance, boot="b", host="h", pid=1, interval_s=1.0, sent_ns=0, troubles=troubles
    )


def test_a_process_that_is_named_by_itself_is_not_replaced_by_another_of_its_role() -> None:
    present = [beat("agents", "STS"), beat("agents", "MVD", "no bus"), beat("runs")]
    found = readiness(["agents-STS", "agents-MVD", "agents-TRD", "runs"], present)
    assert [(one.role, one.ready, one.reasons) for one in found] == [
        ("agents-STS", True, ()),
        ("agents-MVD", False, ("no bus",)),
        ("agents-TRD", False, ("no heartbeat of the role agents-TRD is received",)),
        ("runs", True, ()),
    ]
    (shared,) = readiness(["agents"], present)
    assert shared.reasons == ("no bus",)
