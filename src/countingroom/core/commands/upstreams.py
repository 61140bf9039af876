"""The actions at an upstream of the DQM^2 kind, as commands. Pure.

The role `mirror` knows no other actions, so only actions of this table can be sent to an upstream.
"""

from __future__ import annotations

from collections.abc import Collection

from countingroom.core.commands.row import Argument, CommandRow, table
from countingroom.core.points import Type
from countingroom.core.policy import Permission

_HOST = Argument(name="host", description="A computer that the description lists.")
_PLAYBACK = Argument(
    name="playback",
    description="1: of the playback set; 0: of production.",
    type=Type.INT,
    low=0,
    high=1,
    optional=True,
)
_ID = Argument(name="id", description="The id of a document.")
_SOCKET = Argument(name="socket", description="The name of its control socket.")


def _row(name: str, description: str, *arguments: Argument, changes: bool = False) -> CommandRow:
    return CommandRow(
        name=name,
        description=description,
        permission=Permission.ENDANGER if changes else Permission.OPERATE,
        arguments=arguments,
        cli="mirror act",
        confirmed=True,
        dangerous=changes,
    )


UPSTREAMS = table(
    "mirror",
    _row("info", "Facts about the upstream itself."),
    _row(
        "get_dqm_machines",
        "The computers that it knows.",
        Argument(name="kind", description="Only of this kind.", optional=True),
    ),
    _row("get_dqm_clients", "The clients of a computer, and which of them run.", _HOST, _PLAYBACK),
    _row("get_cmssw_info", "The releases in use."),
    _row("get_hltd_versions", "The versions of hltd on the computers."),
    _row("get_fff_versions", "The versions of its own tools on the computers."),
    _row("get_hltd_logs", "The logs of hltd of a computer.", _HOST),
    _row("get_fff_logs", "The logs of its own tools of a computer.", _HOST),
    _row("show_log", "The log of the process of a document.", _ID),
    _row(
        "get_cluster_status",
        "Which computers of a cluster are up.",
        Argument(name="cluster", description="Which cluster.", choices=("playback", "production", "lookarea")),
    ),
    _row("get_simulator_config", "The settings of the simulator of runs on a computer.", _HOST),
    _row("get_simulator_runs", "The runs that the simulator of a computer can play.", _HOST),
    _row("control_status", "The status of a process, by its control socket.", _SOCKET),
    _row(
        "change_dqm_client",
        "Switch a client of a computer on or off.",
        _HOST,
        Argument(name="client", description="Its name."),
        Argument(name="state", description="1: on; 0: off.", type=Type.INT, low=0, high=1),
        _PLAYBACK,
        changes=True,
    ),
    _row("restart_hltd", "Restart hltd on a computer: its clients end.", _HOST, changes=True),
    _row("restart_fff", "Restart the tools of the upstream on a computer.", _HOST, changes=True),
    _row("kill_proc", "Kill the process of a document.", _ID, changes=True),
    _row(
        "start_playback_run",
        "Let the simulator play a run.",
        Argument(name="run_number", description="Its number.", type=Type.INT, low=1, high=2**31 - 1),
        Argument(name="run_key", description="What kind of run: `pp_run`."),
        Argument(name="number_of_ls", description="So many lumi sections.", type=Type.INT, low=1, high=100_000),
        changes=True,
    ),
    _row(
        "control_command",
        "Send a command to a process, by its control socket.",
        _SOCKET,
        Argument(name="command", description="Which.", choices=("restart", "next_run", "next_lumi", "make_it_crash")),
        changes=True,
    ),
)
"""Name -> row, in the order of help: first those that only read."""

READS = "reads"
"""In a description: all actions that only read."""
PLAN = "plan"
"""The argument that each command has beside its own: the mark of the plan that was shown."""


def allowed(words: Collection[str]) -> tuple[str, ...]:
    """The actions that these words of a description permit, in the order of the table."""
    return tuple(name for name, row in UPSTREAMS.items() if name in words or (READS in words and not row.dangerous))
