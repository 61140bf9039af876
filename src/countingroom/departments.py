"""The departments of the product, one row each: what `serve` starts, the description holds and the console shows.

A row names code by import path ("package.module:name") and imports none of it. So every layer may read the table: the
experiment takes the sections, the app the roles, the console the state keys, routes, pages and navigation. `load`
imports what a path names. How a row is added: docs/howto/add-a-department.md.
"""

from __future__ import annotations

from collections.abc import Sequence

from countingroom.core import subjects
from countingroom.core.bus_grants import BusGrants
from countingroom.core.department import (
    Department,
    DescriptionSection,
    NavigationLink,
    ProcessRole,
    StateKey,
    in_stages,
    live,
    load,
)
from countingroom.core.role_grants import AGENTS, ALARMS, CONSOLE, DEVICES, DOORS, FLEET, PVS, RUNS
from countingroom.mirror_department import MIRROR_ROW

__all__ = ["DEPARTMENTS", "Department", "ProcessRole", "load", "roles", "stages"]

_API = "countingroom.console.api"
_PAGES = "countingroom.console.pages"
_SIMULATORS = ("run", "caen", "epics", "julabo", "marta", "modbus", "secop", "sensors", "snmp", "switchbox", "text")


def _section(package: str, model: str, about: str) -> DescriptionSection:
    """The section that a department has under its own name."""
    return DescriptionSection(key=package, model=f"countingroom.{package}.description:{model}", about=about)


def _api(*modules: str) -> tuple[str, ...]:
    return tuple(f"{_API}.{module}" for module in modules)


def _at_a_broker(name: str, *modules: str) -> ProcessRole:
    """The role of a department at an MQTT broker (the package `mqtt`)."""
    return ProcessRole(
        name=name,
        start=f"countingroom.app.{name}:{name}",
        after=("history", "simulators", "devices"),
        needs=(),
        database=True,
        without_database=True,
        bus=BusGrants(
            # The commands that it may send are in app/bus_users.py.
            hears=("live.readings.*", "presence.devices.*", "events.devices.*"),
            stores=(f"events.{name}.*",),
            leases=(name,),
            reads=(subjects.READINGS_STREAM,),
        ),
        modules=("countingroom.mqtt.service", "countingroom.app.database", *modules),
    )


DEPARTMENTS: tuple[Department, ...] = (
    Department(
        name="runs",
        title="run control",
        section=_section(
            "runs", "RunsSection", "What is brought up together and takes data: systems, partitions, configurations."
        ),
        roles=(
            ProcessRole(
                name="agents",
                start="countingroom.app.roles:agents",
                after=("history", "simulators"),
                needs=("simulators",),
                commands=("systems",),
                owner="its agent",
                bus=AGENTS,
                modules=("countingroom.runs.agents.host",),
            ),
            # Run control stops before its agents: otherwise it takes each agent for lost while it still watches.
            ProcessRole(
                name="runs",
                start="countingroom.app.roles:runs",
                after=("devices", "agents"),
                database=True,
                commands=("runs",),
                owner="run control",
                bus=RUNS,
                modules=("countingroom.runs.service", "countingroom.app.database"),
            ),
        ),
        state=(
            live("partition", "partitions:PartitionState"),
            live("system", "systems:SystemState"),
            live("control", "policy:Control"),
            live(subjects.MAPPING_KEY, "systems:Placement"),
            StateKey(prefix=subjects.DURATIONS_KEY, message="countingroom.runs.monitor.durations:Known"),
            live(subjects.DESCRIPTION_KEY, "apply_description.messages:DescriptionState"),
        ),
        api=_api("partitions", "systems", "experiment", "description", "configurations", "runs"),
        pages=(f"{_PAGES}.run_pages",),
        tree="navigation/partitions.html",
        links=(
            NavigationLink(title="Runs", address="/runs", pages=("runs", "run", "run-compare"), needs=("has_runs",)),
            NavigationLink(
                title="Configurations", address="/configurations", pages=("configurations",), needs=("has_runs",)
            ),
        ),
    ),
    Department(
        name="devices",
        title="the device host",
        section=_section("devices", "DevicesSection", "Device name -> its driver and settings."),
        roles=(
            ProcessRole(
                name="devices",
                start="countingroom.app.roles:devices",
                after=("history", "simulators"),
                needs=("simulators",),
                commands=("devices",),
                owner="its device host",
                bus=DEVICES,
                modules=(
                    *("countingroom.devices.host.host", "countingroom.devices.registry"),
                    "countingroom.devices.interlocks.interlock_host",
                ),
            ),
        ),
        state=(
            # The console follows these three by themselves: `Latest` joins them with the readings.
            StateKey(prefix="device", message="countingroom.core.messages:DeviceState"),
            StateKey(prefix="channel", message="countingroom.core.messages:DeviceState"),
            StateKey(prefix="catalogue", message="countingroom.core.messages:Catalogue"),
            live("interlock_host", "interlocks.host_state:HostInterlockState"),
        ),
        api=(f"{_API}.devices", f"{_API}.commands"),
        pages=(f"{_PAGES}.device_pages",),
        tree="navigation/devices.html",
    ),
    Department(
        name="alarms",
        title="the alarm department",
        section=_section(
            "alarms",
            "AlarmsSection",
            "Areas of the experiment with guidance, changes to alarms, and alarms of one's own.",
        ),
        roles=(
            # It starts at once, and stops before all whose end would be an alarm.
            ProcessRole(
                name="alarms",
                start="countingroom.app.alarms:alarms",
                after=("history", "simulators", "devices", "agents", "runs"),
                needs=(),
                database=True,
                without_database=True,
                commands=("alarms",),
                owner="the alarm department",
                bus=ALARMS,
                modules=(
                    *("countingroom.alarms.engine.service", "countingroom.alarms.definitions"),
                    *("countingroom.alarms.rules.rule_engine", "countingroom.storage.principals"),
                    "countingroom.app.database",
                ),
            ),
        ),
        state=(
            live("alarm", "alarms.states:AlarmState"),
            live("notification", "notify.messages:ChannelState"),
            StateKey(prefix="notify_message", message="countingroom.core.notify.messages:OutboxEntry"),
            StateKey(prefix="notify_track", message="countingroom.core.notify.tracks:Track"),
            live("rule", "rules.states:RuleState"),
            live("interlock", "interlocks.states:InterlockState"),
        ),
        # A fixed path stands before `/alarms/{alarm}`.
        api=_api("acknowledge_links", "alarm_entries", "alarm_statistics", "alarm_spans", "alarms")
        + _api("interlocks", "notifications", "rules"),
        pages=(f"{_PAGES}.alarm_pages", f"{_PAGES}.interlock_pages", f"{_PAGES}.rule_pages"),
        links=(NavigationLink(title="Rules", address="/rules", pages=("rules",)),),
    ),
    Department(
        name="history",
        title="the history",
        section=_section("history", "HistorySection", "Where time series are kept, and how long."),
        roles=(
            # Without DuckDB: each process that has it complains at its end. NumPy is that of the EPICS client too.
            ProcessRole(
                name="history",
                start="countingroom.app.roles:history",
                modules=(
                    *(
                        "countingroom.history.service",
                        "countingroom.history.duckdb_sql",
                        "countingroom.history.last_rows",
                    ),
                    *("countingroom.history.duckdb_file", "numpy", "numpy.ma"),
                ),
                bus=BusGrants(
                    answers=("query.history.*",),
                    stores=("events.history.*",),
                    states=("history_store",),
                    reads=(subjects.READINGS_STREAM,),
                    positions=True,
                ),
            ),
        ),
        state=(live("history_store", "history_stores:HistoryStoreState"),),
        api=_api("history", "history_archive", "history_conditions", "history_stores", "trend_views"),
        pages=(f"{_PAGES}.history_pages",),
        links=(NavigationLink(title="Trends", address="/trends", pages=("trends",)),),
    ),
    Department(
        name="results",
        title="the results",
        section=_section(
            "results", "ResultsSection", "Calibration programs, which are started on command, and their results."
        ),
        # No role of its own: the console hosts it (app/results.py) and answers its commands.
        state=(live("result_program", "results:ProgramState"),),
        api=(f"{_API}.results", f"{_API}.result_arrays"),
        pages=(f"{_PAGES}.result_pages",),
        links=(NavigationLink(title="Results", address="/results", pages=("results", "result", "result-compare")),),
    ),
    Department(
        name="fleet",
        title="the fleet",
        section=_section("fleet", "FleetSection", "Computers, and the services that are wanted on them."),
        roles=(
            ProcessRole(
                name="fleet",
                start="countingroom.app.fleet:fleet",
                database=True,
                commands=("fleet",),
                owner="the keeper of the fleet",
                bus=FLEET,
                modules=("countingroom.fleet.service", "countingroom.app.database"),
            ),
        ),
        state=tuple(
            live(key, f"fleet.{file}:{key.capitalize()}State")
            for key, file in (*((one, "states") for one in ("fleet", "node", "service")), ("talk", "talk"))
        ),
        api=(f"{_API}.fleet", f"{_API}.fleet_logs", f"{_API}.fleet_registry", f"{_API}.fleet_talks"),
        pages=(f"{_PAGES}.fleet_pages",),
        tree="navigation/fleet.html",
    ),
    Department(
        name="doors",
        title="the actor doors",
        section=_section("doors", "DoorsSection", "Addresses at which the fleet answers as an actor of SDSS (CLU)."),
        roles=(
            ProcessRole(
                name="doors",
                start="countingroom.app.doors:doors",
                after=("history", "fleet"),
                needs=(),
                database=True,
                without_database=True,
                bus=DOORS,
                modules=("countingroom.doors.service", "countingroom.app.database"),
            ),
        ),
    ),
    Department(
        name="tracker",
        title="the topics of the tracker DCS",
        section=_section(
            "tracker",
            "TrackerSection",
            "MQTT topics and payloads of the tracker DCS, for its dashboards and collectors.",
        ),
        roles=(_at_a_broker("tracker", "countingroom.tracker.adapter", "countingroom.devices.drivers.marta.points"),),
    ),
    Department(
        name="home_assistant",
        title="the entities of Home Assistant",
        section=_section(
            "home_assistant",
            "HomeAssistantSection",
            "Which points Home Assistant shows as entities, and what it may change.",
        ),
        roles=(_at_a_broker("home_assistant", "countingroom.home_assistant.adapter"),),
    ),
    # Drawings have no process of their own: the console shows them.
    Department(
        name="synoptics",
        title="the synoptics",
        section=_section("synoptics", "SynopticsSection", "Drawings (SVG) whose elements show points and states."),
        pages=(f"{_PAGES}.synoptic_pages",),
        tree="navigation/synoptics.html",
    ),
    Department(
        name="snapshots",
        title="snapshots",
        section=_section(
            "snapshots",
            "SnapshotsSection",
            "Snapshots of setpoints: tolerances, the order of a restore, what is left out.",
        ),
        # The console takes and restores them: it knows the present values, and its users with their rights.
        state=(live("restore", "snapshots.progress:RestoreProgress"),),
        api=(f"{_API}.snapshots", f"{_API}.restores"),
        pages=(f"{_PAGES}.snapshot_pages",),
        links=(NavigationLink(title="Snapshots", address="/snapshots", pages=("snapshots", "snapshot")),),
    ),
    MIRROR_ROW,
    Department(
        name="pvs",
        title="the process variables",
        section=_section(
            "pvs", "PvsSection", "Points served as process variables of EPICS, over Channel Access and PVAccess."
        ),
        roles=(
            ProcessRole(
                name="pvs",
                start="countingroom.app.pvs:pvs",
                after=("history", "simulators", "devices"),
                needs=(),
                bus=PVS,
                modules=("countingroom.pvs.service",),
            ),
        ),
    ),
    Department(
        name="simulators",
        title="the simulators",
        roles=(
            ProcessRole(
                name="simulators",
                start="countingroom.app.roles:simulators",
                simulation_only=True,
                commands=("simulators",),
                owner="its simulator",
                bus=BusGrants(stores=("events.simulators.*",)),
                modules=tuple(f"countingroom.simulators.{module}" for module in _SIMULATORS),
            ),
        ),
        api=(f"{_API}.simulators",),
    ),
    Department(
        name="backup", title="the backups", section=_section("backup", "BackupSection", "Backups of everything.")
    ),
    Department(
        name="console",
        title="the console",
        section=_section("console", "ConsoleSection", "The API and the pages."),
        roles=(
            ProcessRole(
                name="console",
                start="countingroom.app.roles:console",
                after=("history", "simulators", "agents"),
                needs=(),
                database=True,
                without_database=True,
                commands=("results",),
                owner="the console",
                bus=CONSOLE,
                modules=(
                    *("countingroom.console.app", "countingroom.console.pages.pages", "uvicorn.lifespan.on"),
                    *("countingroom.app.connection_table", "countingroom.app.results", "countingroom.app.web_server"),
                ),
            ),
        ),
        # Written by `up`, which is no role; the console tells it.
        state=(live("in_force", "reload.messages:DescriptionInForce"),),
        api=(f"{_API}.events", f"{_API}.live", f"{_API}.login", f"{_API}.users", f"{_API}.mqtt", f"{_API}.reload"),
        pages=(f"{_PAGES}.event_pages", f"{_PAGES}.account_pages", f"{_PAGES}.description_pages"),
        links=(
            NavigationLink(title="Events", address="/events", pages=("events",)),
            NavigationLink(title="Audit", address="/audit", pages=("audit",), needs=("administers",)),
            NavigationLink(title="Description", address="/description", pages=("description",)),
            NavigationLink(title="Users", address="/users", pages=("users",), needs=("administers", "has_login")),
        ),
    ),
)
"""In the order of the navigation."""


def roles(departments: Sequence[Department] = DEPARTMENTS) -> dict[str, ProcessRole]:
    """Every role by its name."""
    return {role.name: role for department in departments for role in department.roles}


def stages(names: Sequence[str], departments: Sequence[Department] = DEPARTMENTS) -> list[list[str]]:
    """The roles in the order of their start: those of a stage start together, when all before them are ready."""
    return in_stages(names, roles(departments))
