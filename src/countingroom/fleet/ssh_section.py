"""The part of the section `fleet` that is about nodes reached by ssh."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from countingroom.core.values import Scalar
from countingroom.core.yaml.secret_reference import SecretReference
from countingroom.core.yaml.section import Name, Seconds, Section

_Word = Annotated[str, Field(pattern=r"^[^\x00-\x1f]+$")]


class SshSection(Section):
    """How a node is reached by ssh, and where its programs are kept there. Files are relative to the description."""

    user: str = ""
    """On the node; empty: that of countingroom."""
    port: Annotated[int, Field(ge=1, le=65535)] = 22
    key: Path | None = None
    """File of the private key, readable for the user of countingroom alone. Default: `~/.ssh/id_*` and the agent."""
    passphrase: SecretReference | None = None
    """Of the key."""
    agent: bool = True
    """Use the agent of `SSH_AUTH_SOCK`, where there is one."""
    known_hosts: Path | None = None
    """File with the host keys of nodes; without one: `~/.ssh/known_hosts`."""
    host_key: Annotated[str, Field(pattern=r"^(SHA256:[A-Za-z0-9+/]{43})?$")] = ""
    """Fingerprint of the host key, as `ssh-keygen -lf` shows it; in place of `known_hosts`."""
    connect: Annotated[Seconds, Field(gt=0, le=120)] = 10.0
    """For connecting and logging in."""
    keepalive: Annotated[Seconds, Field(ge=1, le=600)] = 10.0
    """A node that is silent for three times as long is lost."""
    folder: _Word = ".countingroom"
    """Of the node, for what it keeps of its instances; below the home of the user where it is relative."""
    python: _Word = "python3"
    """What `{python}` is on the node."""
    reboot: list[_Word] = []
    """The command that restarts the node; empty: `reboot`, with `sudo -n` where the user is not root."""
    boot: Annotated[Seconds, Field(gt=0, le=3600)] = 300.0
    """A restart of the node takes at most so long."""


class PowerSection(Section):
    """What switches the power of a node, for `countingroom fleet reboot --hard`: a point, or two commands."""

    device: Name
    """A device of the description."""
    point: str = ""
    """Its point with a setpoint: `outlet3.on`."""
    off_value: Scalar = False
    on_value: Scalar = True
    channel: str = ""
    """For commands: `outlet3`."""
    off_command: str = ""
    on_command: str = ""


def ssh_problem(
    engine: str, address: str, ssh: SshSection | None, power: PowerSection | None
) -> tuple[str, str] | None:
    """(key, what is wrong) of how a node is reached; None: nothing."""
    if engine in ("process", "slurm") and (ssh or power):
        what = "is this computer" if engine == "process" else "is no one computer"
        return ("ssh" if ssh else "power"), f"a node with engine: {engine} {what}, and is not restarted"
    if power and bool(power.point) == bool(power.off_command and power.on_command):
        return "power", "give point, or off_command and on_command"
    if (ssh or engine == "ssh") and not address:
        return "address", "say which computer is reached by ssh"
    if ssh and ssh.host_key and ssh.known_hosts:
        return "ssh", "give host_key or known_hosts, one of both"
    if ssh and ssh.passphrase and not ssh.key:
        return "ssh", "the passphrase is for key: say which file"
    return None
