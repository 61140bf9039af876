"""All that can be found wrong with a description without touching anything: for `check`, and before a reload."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from countingroom.cli.check_alarms import AlarmCheck
from countingroom.cli.check_configurations import wrong_configurations
from countingroom.cli.check_derived import derived_problems
from countingroom.cli.check_devices import build_devices
from countingroom.cli.check_fleet import fleet_problems
from countingroom.cli.check_home_assistant import home_assistant_problems, home_assistant_warnings
from countingroom.cli.check_interlocks import InterlockCheck, InterlockFacts
from countingroom.cli.check_mirror import mirror_problems, mirror_warnings
from countingroom.cli.check_points import point_warnings
from countingroom.cli.check_pvs import pvs_problems, pvs_warnings
from countingroom.cli.check_results import result_warnings
from countingroom.cli.check_snapshots import snapshot_warnings
from countingroom.cli.check_synoptics import synoptic_problems
from countingroom.cli.check_tracker import tracker_problems, tracker_warnings
from countingroom.core.yaml.located import Problem
from countingroom.devices.registry import Hosted
from countingroom.experiment import Invalid, Loaded, load_with_problems


class CheckedDescription(Struct, frozen=True, kw_only=True):
    """A description with all that is wrong with it."""

    problems: Sequence[Problem] = ()
    """Mistakes: it cannot be used."""
    warnings: Sequence[Problem] = ()
    loaded: Loaded | None = None
    """None where no part of it is valid."""
    hosted: Mapping[str, Hosted] = {}
    """The devices, not connected."""
    interlocks: Sequence[InterlockFacts] = ()


def checked_description(file: Path) -> CheckedDescription:
    """Read and check the description in this file. It writes no file and opens no socket."""
    try:
        loaded = load_with_problems(file)
        hosted, found = build_devices(loaded)
        alarms, locks = AlarmCheck(loaded, hosted), InterlockCheck(loaded, hosted)
        warnings = (*loaded.warnings, *point_warnings(loaded, hosted), *alarms.warnings(), *locks.warnings())
        found += [
            *derived_problems(loaded, hosted),
            *tracker_problems(loaded, hosted),
            *pvs_problems(loaded, hosted),
            *wrong_configurations(loaded),
            *fleet_problems(loaded),
            *mirror_problems(loaded),
        ]
        found += [*synoptic_problems(loaded, hosted), *home_assistant_problems(loaded, hosted)]
        warnings = (*warnings, *home_assistant_warnings(loaded, hosted), *result_warnings(loaded))
        problems = loaded.in_order([*found, *alarms.problems(), *locks.problems()])
        return CheckedDescription(
            problems=problems,
            warnings=(
                *warnings,
                *tracker_warnings(loaded),
                *mirror_warnings(loaded),
                *pvs_warnings(loaded),
                *snapshot_warnings(loaded, hosted),
            ),
            loaded=loaded,
            hosted=hosted,
            interlocks=[] if problems else locks.facts(),
        )
    except Invalid as invalid:
        return CheckedDescription(problems=invalid.problems)
