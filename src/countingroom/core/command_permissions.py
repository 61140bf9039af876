"""Law: which power a command needs is read from one table; a command that is not in it needs an administrator. Pure."""

from __future__ import annotations

from countingroom.core.messages import CommandSpec
from countingroom.core.policy import Permission

PARTITION = {
    **dict.fromkeys(
        (
            *("goal", "configure", "configure_all", "start", "repeat", "sequence", "reset"),
            *("include", "exclude", "lock", "unlock", "select", "select_one", "hand_over", "release_control"),
        ),
        Permission.OPERATE,
    ),
    **dict.fromkeys(("stop", "abort", "stop_sequence"), Permission.MAKE_SAFE),
    **dict.fromkeys(("comment", "flag", "request_control"), Permission.ACKNOWLEDGE),
    "take_control": Permission.TAKE_CONTROL,
    "force_control": Permission.TAKE_OVER,
}
"""Command of a partition -> what it is."""

EXPERIMENT = {
    **dict.fromkeys(("move", "hand_over", "release_control"), Permission.OPERATE),
    **dict.fromkeys(
        (
            *("create_partition", "delete_partition", "create_detector", "delete_detector"),
            *("save_configuration", "delete_configuration", "save_tag", "delete_tag", "import"),
        ),
        Permission.CONFIGURE,
    ),
    **dict.fromkeys(("comment", "flag", "request_control"), Permission.ACKNOWLEDGE),
    "take_control": Permission.TAKE_CONTROL,
    "force_control": Permission.TAKE_OVER,
}
"""Command of the experiment as a whole -> what it is."""

SYSTEM = {
    **dict.fromkeys(("resolved", "reset"), Permission.OPERATE),
    "abort": Permission.MAKE_SAFE,
    "error": Permission.ENDANGER,
    "fault": Permission.SIMULATE,
}
"""Command to a system's agent -> what it is."""


def of_partition(command: str) -> Permission:
    """What a command of a partition is."""
    return PARTITION.get(command, Permission.ADMINISTER)


def of_experiment(command: str) -> Permission:
    """What a command of the experiment is."""
    return EXPERIMENT.get(command, Permission.ADMINISTER)


def of_system(command: str) -> Permission:
    """What a command to a system's agent is."""
    return SYSTEM.get(command, Permission.ADMINISTER)


def of_device(spec: CommandSpec | None) -> Permission:
    """What a command of a device is; None stands for `set`."""
    return Permission.ENDANGER if spec is not None and spec.dangerous else Permission.OPERATE
