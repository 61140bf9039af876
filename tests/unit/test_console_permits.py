"""Every route and command, asked for by every role, answers exactly what these tables of permissions say.

The tables here are written apart from those of the product: whoever changes who may do what changes both.
"""

from __future__ import annotations

import re

import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from countingroom.bus.memory.bus import MemoryBus
from countingroom.console.api import route_permissions
from countingroom.console.app import create
from countingroom.console.route_permissions import RouteTable
from countingroom.core.clock import SystemClock
from countingroom.core.commands.alarms import ALARMS as ALARM_ROWS
from countingroom.core.commands.description import DESCRIPTION as DESCRIPTION_ROWS
from countingroom.core.commands.experiment import EXPERIMENT as EXPERIMENT_ROWS
from countingroom.core.commands.interlocks import INTERLOCKS as INTERLOCK_ROWS
from countingroom.core.commands.notifications import NOTIFICATIONS as NOTIFICATION_ROWS
from countingroom.core.commands.partition import PARTITION as PARTITION_ROWS
from countingroom.core.commands.results import RESULTS as PROGRAM_ROWS
from countingroom.core.commands.rules import RULES as RULE_ROWS
from countingroom.core.commands.system import SYSTEM as SYSTEM_ROWS
from countingroom.core.commands.upstreams import UPSTREAMS as UPSTREAM_ROWS
from countingroom.core.policy import NEEDS, Principal, Role, decide
from countingroom.departments import DEPARTMENTS
from tests.console.people import PEOPLE, house
from tests.console.stage import served, stage

ROUTES = route_permissions(DEPARTMENTS)

V, S, E, A = Role.VIEWER, Role.SHIFTER, Role.EXPERT, Role.ADMINISTRATOR
OPEN = {
    *("GET /healthz", "GET /readyz", "GET /login", "GET /link", "POST /api/v1/login", "POST /api/v1/link"),
    *("GET /acknowledge", "POST /api/v1/look_at_link", "POST /api/v1/acknowledge_by_link"),
}
"""Strangers too."""
OWN = {"POST /api/v1/logout", "POST /api/v1/me/password"}
"""Actions on what is one's own."""
EXPERTS = {"GET /log-lines", "GET /api/v1/mirror/templates"}
"""What they show is raw lines of the inside."""
ADMINISTRATORS = {
    *("GET /users", "GET /audit", "GET /api/v1/users", "GET /api/v1/audit", "POST /api/v1/users"),
    *("POST /api/v1/mqtt/clear", "GET /api/v1/description/plan"),
    *(f"POST /api/v1/users/{{name}}/{action}" for action in ("grant", "link", "disable", "log_out")),
}
SHIFTERS = {"GET /api/v1/fleet/registry", "GET /api/v1/mirror/upstreams/{upstream}/answers/{id}"}
"""Questions for which the logins of the experiment are used, and logs of other sites."""
OUTSIDE = {"GET /openapi.json", "MOUNT /static"}
"""No handlers of ours: files, and the description of the API, for whoever is logged in."""

PARTITION = {
    **dict.fromkeys(("goal", "configure", "configure_all", "reconfigure", "start", "stop", "abort", "reset"), S),
    **dict.fromkeys(("include", "exclude", "lock", "unlock", "select", "select_one", "comment", "flag"), S),
    **dict.fromkeys(("repeat", "sequence", "stop_sequence"), S),
    **dict.fromkeys(("take_control", "request_control", "hand_over", "release_control"), S),
    "force_control": E,
    "made_up": A,
}
EXPERIMENT = {
    **dict.fromkeys(("move", "take_control", "request_control", "hand_over", "release_control"), S),
    **dict.fromkeys(("comment", "flag"), S),
    **dict.fromkeys(("create_partition", "delete_partition", "create_detector", "delete_detector"), E),
    **dict.fromkeys(("save_configuration", "delete_configuration", "save_tag", "delete_tag", "import", "apply"), E),
    "set_next_run": E,
    "force_control": E,
    "made_up": A,
}
SYSTEM = {"resolved": S, "reset": S, "abort": S, "error": E, "fault": E, "made_up": A}
ALARM = {
    **dict.fromkeys(("acknowledge", "reset", "shelve", "unshelve", "comment"), S),
    **dict.fromkeys(("out_of_service", "in_service"), E),
    "made_up": A,
}
"""Those that name no alarm are asked of the experiment."""
NOTIFICATION = {"test": S, "made_up": A}
INTERLOCK = dict.fromkeys((*INTERLOCK_ROWS, "made_up"), S)
"""The lowest role that an interlock can declare; the department asks for the declared one."""
RULE = {"arm": S, "disarm": S, "made_up": A}
DESCRIPTION = {"reload": A, "made_up": A}
PROGRAM = {"start": S, "stop": S, "made_up": A}
"""Of a program without a role of its own."""
DEVICE = {"lv_on": S, "set": S, "hv_on": S, "made_up": S, "hv_off": E}
"""`hv_off` is marked dangerous in the catalogue of this stage."""
FLEET = {
    **dict.fromkeys(("restart", "talk", "stop_talk", "cordon", "uncordon", "halt"), S),
    **dict.fromkeys(("apply", "rollback", "resume", "drain", "reboot", "disable", "enable"), E),
    "made_up": A,
}
UPSTREAM = {
    **dict.fromkeys(("info", "get_dqm_machines", "get_dqm_clients", "get_cmssw_info", "get_cluster_status"), S),
    **dict.fromkeys(("get_hltd_versions", "get_fff_versions", "get_hltd_logs", "get_fff_logs", "show_log"), S),
    **dict.fromkeys(("get_simulator_config", "get_simulator_runs", "control_status"), S),
    **dict.fromkeys(("change_dqm_client", "restart_hltd", "restart_fff", "kill_proc", "start_playback_run"), E),
    "control_command": E,
    "made_up": A,
}
MIRROR = {**dict.fromkeys(("approve", "confirm", "refuse", "withdraw"), E), "made_up": A}
NOTE = {**dict.fromkeys(("add", "edit", "update", "end", "withdraw"), S), "made_up": A}
COMMANDS = {
    "POST /api/v1/devices/{device}/commands/{command}": ("device.caen", DEVICE),
    "POST /api/v1/partitions/{partition}/commands/{command}": ("partition.mCBM", PARTITION),
    "POST /api/v1/experiment/commands/{command}": ("_experiment", EXPERIMENT),
    "POST /api/v1/systems/{system}/commands/{command}": ("system.STS", SYSTEM),
    "POST /api/v1/alarms/commands/{command}": ("_experiment", ALARM),
    "POST /api/v1/notifications/commands/{command}": ("_experiment", NOTIFICATION),
    "POST /api/v1/interlocks/{interlock}/commands/{command}": ("_experiment", INTERLOCK),
    "POST /api/v1/rules/{rule}/commands/{command}": ("_experiment", RULE),
    "POST /api/v1/description/commands/{command}": ("_experiment", DESCRIPTION),
    "POST /api/v1/results/programs/{program}/commands/{command}": ("_experiment", PROGRAM),
    "POST /api/v1/fleet/commands/{command}": ("_experiment", FLEET),
    "POST /api/v1/mirror/upstreams/{upstream}/plan/{command}": ("upstream.farm", UPSTREAM),
    "POST /api/v1/mirror/upstreams/{upstream}/commands/{command}": ("upstream.farm", UPSTREAM),
    "POST /api/v1/mirror/templates/commands/{command}": ("_experiment", MIRROR),
    "POST /api/v1/mirror/notes/{command}/preview": ("_experiment", NOTE),
    "POST /api/v1/mirror/notes/commands/{command}": ("_experiment", NOTE),
}
FIXED = {
    **{
        f"POST /api/v1/partitions/{{partition}}/{command}": ("partition.mCBM", S)
        for command in ("goal", "configure", "reconfigure", "start", "stop", "abort")
    },
    "POST /api/v1/simulators/{device}/faults/{fault}": ("device.caen", E),
    "POST /api/v1/views/{view}/save_view": ("_experiment", S),
    "POST /api/v1/views/{view}/delete_view": ("_experiment", S),
    "POST /api/v1/apply": ("_experiment", E),
    "POST /api/v1/results": ("_experiment", S),
    "POST /api/v1/snapshots/import": ("_experiment", E),
    **{
        f"POST /api/v1/snapshots/{{snapshot}}/{action}": ("_experiment", V)
        for action in ("take", "restore", "golden", "delete")
    },
    "POST /api/v1/restores/{restore}/stop": ("_experiment", V),
}
"""Those of snapshots depend on the devices of the snapshot: test_snapshots_api.py."""
VALUES = {
    "device": "caen",
    "partition": "mCBM",
    "system": "STS",
    "point": "0.hv_vMon",
    "name": "nobody",
    "fault": "trip",
    "upstream": "farm",
}


def routes(app: FastAPI) -> set[str]:
    """Every route there is, as the table names them."""
    found: set[str] = set()
    for one in iter_route_contexts(app.routes):
        route = one
        methods: set[str] = getattr(route, "methods", None) or set()
        kind = type(getattr(one, "original_route", one)).__name__
        if "WebSocket" in kind:
            methods = {"WS"}
        elif "Mount" in kind:
            methods = {"MOUNT"}
        found |= {f"{method} {route.path}" for method in methods - {"HEAD"}}
    return found


def test_every_route_is_in_the_table_and_the_table_has_no_other() -> None:
    clock = SystemClock()
    app = create(MemoryBus(clock).client(), clock, title="t", version="1")
    there = routes(app)
    assert there - OUTSIDE - set(ROUTES) == set(), "tell in console/route_permissions.py who may use them"
    assert set(ROUTES) - there == set(), "there are no such routes"


def test_every_route_that_acts_is_in_a_table_here() -> None:
    acting = {name for name in ROUTES if name.startswith("POST")}
    assert acting == set(COMMANDS) | set(FIXED) | OWN | (OPEN & acting) | (ADMINISTRATORS & acting)


def test_every_command_of_a_table_is_in_a_table_here() -> None:
    assert set(PARTITION) - {"made_up"} == set(PARTITION_ROWS)
    assert set(EXPERIMENT) - {"made_up"} == set(EXPERIMENT_ROWS)
    assert set(SYSTEM) - {"made_up"} == set(SYSTEM_ROWS)
    assert set(ALARM) - {"made_up"} == set(ALARM_ROWS)
    assert set(NOTIFICATION) - {"made_up"} == set(NOTIFICATION_ROWS)
    assert set(RULE) - {"made_up"} == set(RULE_ROWS)
    assert set(DESCRIPTION) - {"made_up"} == set(DESCRIPTION_ROWS)
    assert set(PROGRAM) - {"made_up"} == set(PROGRAM_ROWS)
    assert set(UPSTREAM) - {"made_up"} == set(UPSTREAM_ROWS)


def questions() -> list[tuple[str, str, str, Role]]:
    """(route, path, target, lowest role) of everything that can be asked of the console by who is logged in."""
    asked: list[tuple[str, str, str, Role]] = []
    for name in ROUTES:
        method, _, template = name.partition(" ")
        if name in OPEN or method == "WS":
            continue
        if name in COMMANDS:
            target, commands = COMMANDS[name]
            asked += [(name, filled(template, command), target, role) for command, role in commands.items()]
        elif name in FIXED:
            asked.append((name, filled(template), *FIXED[name]))
        else:
            role = A if name in ADMINISTRATORS else E if name in EXPERTS else S if name in SHIFTERS else V
            asked.append((name, filled(template), "_experiment", role))
    return asked


def filled(template: str, command: str = "") -> str:
    values = VALUES | {"command": command}
    return re.sub(r"\{(\w+)\}", lambda match: values.get(match[1], "1"), template)


@pytest.mark.server
@pytest.mark.parametrize("name", PEOPLE)
async def test_everybody_may_exactly_what_the_tables_say(name: str) -> None:
    roles = PEOPLE[name]
    who = Principal(name=name, role=roles.get("*", V), roles=roles)
    async with stage(SystemClock()) as here, house(here) as home:
        wrong: list[str] = []
        for route, path, target, lowest in questions():
            program = await home.program(name)
            method = route.partition(" ")[0]
            answer = await program.request(method, path, json={} if method == "POST" else None)
            code = answer.json()["cause"]["code"] if "/api/" in path and answer.status_code >= 400 else ""
            denied = answer.status_code == 403 and code in ("denied", "")
            if denied != (who.on(target) < lowest) or (answer.status_code == 401 and code != "wrong_password"):
                wrong.append(f"{method} {path}: {answer.status_code} {answer.text[:200]}")
        assert wrong == []
        denials = [one for one in await home.record() if one.cause and one.cause.code == "denied"]
        assert bool(denials) == (name != "adam")
        assert {one.who for one in denials} <= {name}


async def test_a_stranger_may_nothing_but_become_known() -> None:
    async with stage(SystemClock()) as here, house(here) as home:
        stranger = home.client()
        for route, path, _, _ in questions():
            method = route.partition(" ")[0]
            answer = await stranger.request(method, path, json={} if method == "POST" else None)
            assert (answer.status_code, answer.json()["cause"]["code"]) == (401, "no_login"), path
        for route in OPEN:
            method, _, path = route.partition(" ")
            answer = await stranger.request(method, path, json={} if method == "POST" else None)
            assert answer.status_code in (200, 422), path
        assert here.asked == []


async def test_without_a_login_whoever_is_here_may_everything() -> None:
    clock = SystemClock()
    async with stage(clock) as here, served(here) as (_, client):
        for route, path, _, _ in questions():
            method = route.partition(" ")[0]
            answer = await client.request(method, path, json={} if method == "POST" else None)
            assert answer.status_code not in (401, 403), path


def test_a_path_is_found_in_the_table_by_what_is_spelled_out_first() -> None:
    find = RouteTable(ROUTES).find
    for name in ROUTES:
        method, _, template = name.partition(" ")
        found = find(method, filled(template, "goal"))
        assert found is not None
        if "{" not in template:
            assert found.template == template
    assert find("GET", "/api/v1/nothing") is None
    assert find("DELETE", "/api/v1/devices") is None


def test_the_policy_refuses_below_the_role_and_only_below_it() -> None:
    for action, needed in NEEDS.items():
        for role in Role:
            cause = decide(Principal(name="x", role=role), action, "device.caen", now_ns=0)
            assert (cause is None) == (role >= needed)
