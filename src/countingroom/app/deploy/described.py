"""Makes the plan of a deployment from a description."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel, RootModel

from countingroom.app.deploy.plan import DeployPlan, OpenPort
from countingroom.app.description_files import description_files, named_files
from countingroom.backup.contents import DESCRIPTION
from countingroom.bus.description import BusSection, Credentials
from countingroom.console.description import ConsoleSection, is_loopback
from countingroom.core.errors import ConfigurationError
from countingroom.core.yaml.secret_reference import SecretReference
from countingroom.experiment import Loaded, load_located
from countingroom.mirror.description import MirrorSection

_MOST_CHARACTERS = 1_000_000


def plan_of(description: Path, *, image: str, simulate: bool = False, site_url: str = "") -> DeployPlan:
    """The plan of a description. Invalid where the description has mistakes."""
    loaded = load_located(description)
    section, experiment = loaded.experiment.section, loaded.experiment.experiment
    folder = description.absolute().parent
    found = description_files(description, loaded, secrets=False)
    files = {_inner(name): path for name, path in found.files.items() if name not in found.outside}
    console, mirror = section(ConsoleSection), section(MirrorSection)
    secrets = sorted({_place(path, folder) for path, is_secret in named_files(loaded.experiment) if is_secret})
    return DeployPlan(
        name=experiment.name,
        title=experiment.title or experiment.name,
        folder=str(folder),
        main=description.name,
        files=files,
        outside=sorted(found.outside.values()),
        secret_files=secrets,
        variables=sorted(set(_variables(loaded.experiment))),
        ports=tuple(_ports(loaded)),
        console_port=console.port or 8080,
        has_tls=console.tls is not None,
        has_site=bool(mirror.publish) and not mirror.feed.to and mirror.site is None,
        is_fed=bool(mirror.publish and mirror.feed.to),
        has_database=mirror.store.secret is not None or mirror.store.url.startswith("postgresql"),
        site_url=site_url,
        simulate=simulate,
        image=image,
    )


def description_texts(plan: DeployPlan) -> dict[str, str]:
    """Path of each file of the description in a container, below its folder or absolute -> its text. ConfigurationError
    where a file is no text, or all are more than a ConfigMap holds."""
    found = {inner: Path(path) for inner, path in plan.files.items()} | {path: Path(path) for path in plan.outside}
    texts: dict[str, str] = {}
    for inner, path in found.items():
        try:
            texts[inner] = path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise ConfigurationError(
                f"{path} is no text, and a ConfigMap holds text",
                source="deploy",
                suggestion="put it into a volume by hand, and leave it out of the description here",
            ) from error
    if sum(map(len, texts.values())) > _MOST_CHARACTERS:
        raise ConfigurationError(
            "the files of the description are more than 1 MiB, which a ConfigMap holds",
            source="deploy",
            suggestion="use Compose or Quadlet, which mount its folder",
        )
    return texts


def _inner(name: str) -> str:
    return name.removeprefix(f"{DESCRIPTION}/")


def _place(path: Path, folder: Path) -> str:
    """A path below the folder of the description, else an absolute one."""
    file = Path(os.path.normpath(folder / path))
    return file.relative_to(folder).as_posix() if file.is_relative_to(folder) else str(file)


def _ports(loaded: Loaded) -> Iterator[OpenPort]:
    section = loaded.experiment.section
    console, bus, site = section(ConsoleSection), section(BusSection), section(MirrorSection).site
    if not is_loopback(console.host):
        yield OpenPort(name="console", number=console.port or 8080)
    if bus.mqtt and not is_loopback(bus.mqtt.host) and bus.mqtt.port:
        yield OpenPort(name="mqtt", number=bus.mqtt.port)
    if bus.listen and bus.port:
        yield OpenPort(name="bus", number=bus.port)
    if site and not is_loopback(site.host):
        yield OpenPort(name="site", number=site.port)


def _variables(part: Any) -> Iterator[str]:
    """The variables of the environment that a section names for its secrets."""
    if isinstance(part, SecretReference):
        if part.env:
            yield part.env
        return
    if isinstance(part, Credentials) and part.password_env:
        yield part.password_env
    if isinstance(part, RootModel):
        yield from _variables(cast(Any, part).root)
    elif isinstance(part, BaseModel):
        for name in type(part).model_fields:
            yield from _variables(getattr(part, name))
    elif isinstance(part, dict):
        for value in cast(dict[Any, Any], part).values():
            yield from _variables(value)
    elif isinstance(part, (list, tuple)):
        for value in cast(list[Any], part):
            yield from _variables(value)
