"""Files of Quadlet (Podman) and units of systemd of a deployment. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import PurePosixPath

from countingroom.app.deploy.plan import (
    DATA,
    GRACE_S,
    HERE,
    PUBLIC,
    PUBLIC_FILE,
    RECEIVER_FILES,
    RECEIVER_PORT,
    SECRETS,
    SITE_PORT,
    STORE_VARIABLE,
    UID,
    DeployPlan,
    secrets_file,
)
from countingroom.fleet.generate.account import Lines, seconds, unit_raw, unit_text, unit_word

_TITLES = {"": "Control room", "-site": "Public site", "-receiver": "Receiver of the feed"}
_OWN = f"uid={UID},gid={UID},mode=0400"
_PAUSE = ("RestartSec", "2s")
_QUADLET = "Made by countingroom deploy quadlet"
_SYSTEMD = "Made by countingroom deploy systemd"
_WANTED = [("WantedBy", "multi-user.target default.target")]
_HARDENED: Lines = [
    ("NoNewPrivileges", "yes"),
    ("CapabilityBoundingSet", ""),
    ("ProtectSystem", "strict"),
    ("ProtectHome", "read-only"),
    ("PrivateTmp", "yes"),
    ("ProtectKernelTunables", "yes"),
    ("ProtectKernelModules", "yes"),
    ("ProtectControlGroups", "yes"),
    ("RestrictSUIDSGID", "yes"),
    ("LockPersonality", "yes"),
    ("UMask", "0077"),
]


def quadlet_files(plan: DeployPlan) -> dict[str, str]:
    """File name -> its text: a `.container` for the control room and the site, with their volumes and networks."""
    room: Lines = [
        ("Volume", f"{plan.slug}-data.volume:{DATA}"),
        ("Volume", unit_word(f"{plan.folder}:{HERE}:ro")),
        *(("Volume", unit_word(f"{path}:{path}:ro")) for path in (*plan.outside, *_outside_secrets(plan))),
        *(("Secret", f"{plan.slug}-{name},type=env,target={name}") for name in plan.variables),
    ]
    if plan.has_public_file:
        room.append(("Volume", f"{plan.slug}-public.volume:{PUBLIC}"))
    if plan.is_open:
        room.append(("Network", f"{plan.slug}-inside.network"))
        room += [("PublishPort", f"{port.number}:{port.number}") for port in plan.ports]
    else:
        room.append(("Network", "host"))
    files = {f"{plan.slug}.container": _container(plan, "", plan.command(), plan.probe(), room, "4g", 2048)}
    files |= _named(plan, "data", "volume")
    if plan.is_open:
        files |= _named(plan, "inside", "network")
    return files | (_quadlet_site(plan) if plan.has_site else {})


def outside_quadlet_files(plan: DeployPlan) -> dict[str, str]:
    """File name -> its text: the receiver of the feed and the site, for a computer outside."""
    plan = plan.of_the_outside()
    receiver: Lines = [
        ("Volume", f"{plan.slug}-public.volume:{PUBLIC}"),
        ("Environment", f"{STORE_VARIABLE}={PUBLIC_FILE}"),
        *(("Secret", f"{name},type=mount,target={SECRETS}/{file},{_OWN}") for name, file in receiver_secrets(plan)),
        ("Network", f"{plan.slug}-receiver.network"),
        ("PublishPort", f"{RECEIVER_PORT}:{RECEIVER_PORT}"),
    ]
    words, probe = plan.receiver_command(), plan.receiver_probe()
    made = _container(plan, "-receiver", words, probe, receiver, "512m", 256)
    files = {f"{plan.slug}-receiver.container": made, **_named(plan, "receiver", "network")}
    return files | _quadlet_site(plan)


def receiver_secrets(plan: DeployPlan) -> list[tuple[str, str]]:
    """Secrets of Podman that the receiver needs, and the file of each."""
    return [(f"{plan.slug}-receiver-{file}", file) for file in RECEIVER_FILES]


def _quadlet_site(plan: DeployPlan) -> dict[str, str]:
    files: dict[str, str] = {}
    if plan.has_public_file:
        site: Lines = [
            ("Volume", f"{plan.slug}-public.volume:{PUBLIC}"),
            ("Environment", f"{STORE_VARIABLE}={PUBLIC_FILE}"),
        ]
        files |= _named(plan, "public", "volume")
    else:
        site = [("Secret", f"{plan.slug}-{STORE_VARIABLE},type=env,target={STORE_VARIABLE}")]
    site += [
        ("Network", f"{plan.slug}-outside.network"),
        ("PublishPort", f"{SITE_PORT}:{SITE_PORT}"),
    ]
    words = plan.site_command()
    files[f"{plan.slug}-site.container"] = _container(plan, "-site", words, plan.site_probe(), site, "512m", 256)
    return files | _named(plan, "outside", "network")


def _container(
    plan: DeployPlan, suffix: str, words: Sequence[str], probe: Sequence[str], own: Lines, memory: str, processes: int
) -> str:
    container: Lines = [
        ("Image", unit_raw(plan.image)),
        ("ContainerName", f"{plan.slug}{suffix}"),
        ("Exec", " ".join(unit_word(word) for word in words)),
        ("User", str(UID)),
        ("Group", str(UID)),
        ("ReadOnly", "true"),
        ("Tmpfs", "/tmp"),  # noqa: S108 - of the container
        ("DropCapability", "all"),
        ("NoNewPrivileges", "true"),
        ("RunInit", "true"),
        *own,
        ("LogDriver", "journald"),
        ("HealthCmd", unit_raw(json.dumps(list(probe)))),
        ("HealthInterval", "30s"),
        ("HealthTimeout", "10s"),
        ("HealthRetries", "3"),
        ("HealthStartPeriod", "60s"),
        ("PodmanArgs", f"--memory={memory} --pids-limit={processes} --stop-timeout={GRACE_S}"),
    ]
    sections = {
        "Unit": [("Description", _title(plan, suffix)), ("StartLimitIntervalSec", "0")],
        "Container": container,
        "Service": [("Restart", "always"), _PAUSE, ("TimeoutStopSec", seconds(GRACE_S + 10))],
        "Install": _WANTED,
    }
    return unit_text(sections, _QUADLET)


def _named(plan: DeployPlan, name: str, kind: str) -> dict[str, str]:
    section = kind.capitalize()
    full = f"{plan.slug}-{name}"
    return {f"{full}.{kind}": unit_text({section: [(f"{section}Name", full)]}, _QUADLET)}


def systemd_files(plan: DeployPlan, program: str, user: str) -> dict[str, str]:
    """File name -> its text: the unit of `countingroom up`, and that of the public site. `program`: the command
    `countingroom`; `user`: the account that runs them."""
    state = f"/var/lib/countingroom/{plan.slug}"
    words = [program, "up", f"{plan.folder}/{plan.main}", "--data", state]
    secrets = [("EnvironmentFile", secrets_file(plan))] if plan.variables else []
    room: Lines = [
        ("ExecStart", " ".join(unit_word(word) for word in [*words, *(["--simulate"] if plan.simulate else [])])),
        ("User", user),
        ("WorkingDirectory", plan.folder.replace("%", "%%")),
        ("StateDirectory", f"countingroom/{plan.slug}"),
        *secrets,
        ("MemoryMax", "4G"),
        ("TasksMax", "2048"),
    ]
    files = {f"{plan.slug}.service": _unit(plan, "", room)}
    if plan.has_site:
        words = [program, *plan.site_command()]
        site: Lines = [
            ("ExecStart", " ".join(unit_word(word) for word in words)),
            ("User", user),
            # Of the data folder it sees the public store alone.
            ("TemporaryFileSystem", state),
            *(
                [("EnvironmentFile", f"/etc/countingroom/{plan.slug}-site.secrets")]
                if plan.has_database
                else [
                    ("Environment", f"{STORE_VARIABLE}={state}/mirror/public.sqlite"),
                    ("BindPaths", f"{state}/mirror"),
                ]
            ),
            *(("InaccessiblePaths", unit_word(f"-{path}")) for path in _of_the_inside(plan)),
            ("MemoryMax", "512M"),
            ("TasksMax", "256"),
        ]
        files[f"{plan.slug}-site.service"] = _unit(plan, "-site", site)
    return files


def outside_systemd_files(plan: DeployPlan, program: str, user: str) -> dict[str, str]:
    """File name -> its text: the receiver of the feed and the site, for a computer outside. The files of the receiver
    are credentials of systemd, which their owner alone reads."""
    name = f"countingroom/{plan.slug}-public"
    both: Lines = [
        ("User", user),
        ("StateDirectory", name),
        ("Environment", f"{STORE_VARIABLE}=/var/lib/{name}/public.sqlite"),
        ("MemoryMax", "512M"),
        ("TasksMax", "256"),
    ]
    # %d is the folder of the credentials.
    words = [unit_word(word).replace("%%d/", "%d/") for word in [program, *plan.receiver_command("%d")]]
    receiver: Lines = [
        ("ExecStart", " ".join(words)),
        *(("LoadCredential", f"{file}:/etc/countingroom/{plan.slug}-receiver/{file}") for file in RECEIVER_FILES),
        *both,
    ]
    site: Lines = [("ExecStart", " ".join(unit_word(word) for word in [program, *plan.site_command()])), *both]
    return {
        f"{plan.slug}-receiver.service": _unit(plan, "-receiver", receiver),
        f"{plan.slug}-site.service": _unit(plan, "-site", site),
    }


def _unit(plan: DeployPlan, suffix: str, own: Lines) -> str:
    service: Lines = [
        ("Type", "exec"),
        *own,
        ("Restart", "always"),
        _PAUSE,
        ("TimeoutStopSec", seconds(GRACE_S)),
        # The processes of `up` are stopped by `up`, one after the other.
        ("KillMode", "mixed"),
        *_HARDENED,
    ]
    sections = {
        "Unit": [
            ("Description", _title(plan, suffix)),
            ("Wants", "network-online.target"),
            ("After", "network-online.target"),
            ("StartLimitIntervalSec", "0"),
        ],
        "Service": service,
        "Install": [("WantedBy", "multi-user.target")],
    }
    return unit_text(sections, _SYSTEMD)


def _title(plan: DeployPlan, suffix: str) -> str:
    return f"{_TITLES[suffix]} of {plan.title}".replace("%", "%%")


def _of_the_inside(plan: DeployPlan) -> list[str]:
    """Files that the site needs not."""
    return [str(PurePosixPath(plan.folder) / path) for path in (*plan.files, *plan.outside, *plan.secret_files)]


def _outside_secrets(plan: DeployPlan) -> list[str]:
    return [path for path in plan.secret_files if path.startswith("/")]
