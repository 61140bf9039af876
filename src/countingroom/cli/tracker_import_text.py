"""The text of a description that is made from the files of a tracker DCS. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from json import dumps
from pathlib import Path

TOPICS = (
    ("caen", "caen", "dcs"),
    ("chiller", "julabo", "julabo"),
    ("marta", "marta", "MARTA"),
    ("switchbox",) * 2 + ("SB",),
)
"""Key of the section `tracker`, name of the device, first level of its topics."""


def experiment_text(
    name: str,
    *,
    julabo: str,
    marta: str,
    switchbox: str,
    epics: Sequence[str],
    broker: str,
    has_channels: bool,
    limits: Mapping[str, Mapping[str, float]],
    secrets: Path,
) -> str:
    """The file `experiment.yaml`. `limits`: point, or pattern -> limits of what may be written to the supply."""
    there = {"caen": has_channels, "julabo": bool(julabo), "marta": bool(marta), "switchbox": bool(switchbox)}
    used = [one for one in TOPICS if there[one[1]]]
    lines = [f"experiment: {{ name: {name} }}", ""]
    if not broker:
        lines += _listener([root for _, _, root in used], secrets)
    lines += ["devices:"]
    if has_channels:
        lines += ["  caen:", "    driver: caen"]
        lines += [f"    name_servers: {dumps(list(epics))}"] if epics else []
        if limits:
            lines += ["    points:"]
            lines += [f"      {dumps(point)}: {dumps(dict(given))}" for point, given in limits.items()]
        lines += ["    # Set values are written at each connection with `apply_on_connect: true` alone."]
        lines += ["    <<: !include caen_channels.yaml"]
    if julabo:
        lines += ["  # The lowest and highest setpoint, in degC: give those of the bath and of its liquid."]
        lines += [f"  julabo: {{ driver: julabo, port: {dumps(julabo)}, setpoint_low: -50, setpoint_high: 49.99 }}"]
    if marta:
        lines += ["  marta:", "    driver: marta", f"    host: {dumps(marta)}", "    <<: !include marta_registers.yaml"]
    if switchbox:
        lines += [f"  switchbox: {{ driver: switchbox, port: {dumps(switchbox)} }}"]
    lines += ["", "tracker:"]
    if broker:
        lines += [f"  broker: {{ address: {dumps(broker)} }}"]
    lines += ["  roles:", "    # Everything but HV on; with `expert` the pages switch HV on too."]
    lines += [f"    device.{device}: shifter" for _, device, _ in used]
    lines += [f"  {key}: {{ device: {device} }}" for key, device, _ in used]
    return "\n".join([*lines, ""])


def _listener(roots: Sequence[str], secrets: Path) -> list[str]:
    everything = [f"{root}/#" for root in roots]
    commands = [f"{root}/cmd/#" if root != "SB" else "SB/cmd" for root in roots]
    users: list[tuple[str, list[str], list[str]]] = [
        ("tracker-dcs", everything, commands),
        ("nodered", commands, everything),
        ("telegraf", [], everything),
    ]
    lines = ["bus:", "  mqtt:", "    host: 0.0.0.0", "    users:"]
    for user, publish, subscribe in users:
        lines += [f"      - name: {user}", f"        password_file: {dumps(str(secrets / f'mqtt-{user}'))}"]
        lines += [f"        publish: {dumps(publish)}"] if publish else []
        lines += [f"        subscribe: {dumps(subscribe)}"]
    return [*lines, ""]
