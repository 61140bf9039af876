"""The command `deploy`: it writes files that run the whole product as containers, in a cluster or as a unit."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from countingroom.cli.output import Json, print_json

if TYPE_CHECKING:
    from countingroom.app.deploy.plan import DeployPlan

app = typer.Typer(no_args_is_help=True, help="Write files that run all of it: an image, Compose, Kubernetes, systemd.")

Folder = Annotated[Path, typer.Argument(help="Folder to write in.", show_default=False)]
File = Annotated[Path, typer.Option("--file", "-f", help="The description.", exists=True, dir_okay=False)]
Image = Annotated[str, typer.Option("--image", help="Name of the image, as deploy image told how to build it.")]
Simulate = Annotated[bool, typer.Option("--simulate", help="Use simulators for every device.")]
SiteUrl = Annotated[str, typer.Option("--site-url", help="Public address of the mirror: https://status.example.org.")]
_FILE = Path("experiment.yaml")
_IMAGE = "countingroom"
_PROBE_S = 8.0
OUTSIDE = "outside"
"""Folder of the files for the computer outside."""


@app.callback()
def group() -> None:
    """Write files that run all of it: an image, Compose, Kubernetes, systemd."""


@app.command()
def image(folder: Folder, json: Json = False) -> None:
    """What an image of the product is built from: a Containerfile, the libraries with their hashes, and this product.

    The image has a user of its own, no compiler and no pip, and one volume; its root may be read-only.
    """
    from hashlib import sha256

    from countingroom.app.deploy.image import CONTAINERFILE, IGNORED, requirements
    from countingroom.app.deploy.wheel import lock, wheel_name, write_wheel
    from countingroom.cli.example import write_new

    locked, wheel = lock(), folder / "wheels" / wheel_name()
    write_new({folder / "Containerfile": CONTAINERFILE, folder / ".dockerignore": IGNORED})
    write_wheel(wheel)
    listed = requirements(locked, wheel.name, sha256(wheel.read_bytes()).hexdigest())
    write_new({folder / "requirements.txt": listed})
    names = ("Containerfile", ".dockerignore", "requirements.txt")
    _tell(
        [*(folder / name for name in names), wheel],
        (),
        f"docker build --file {folder}/Containerfile --build-arg BASE=python:3.13-slim --tag {_IMAGE} {folder}",
        json=json,
    )


@app.command()
def compose(
    folder: Folder,
    file: File = _FILE,
    image: Image = _IMAGE,
    simulate: Simulate = False,
    site_url: SiteUrl = "",
    json: Json = False,
) -> None:
    """A Compose file: the control room, and the public site by itself where the description has a mirror.

    Secrets are referred to and never written; no file is overwritten.
    """
    from countingroom.app.deploy.compose import compose_file, outside_file

    plan = _plan(file, image, simulate=simulate, site_url=site_url)
    then = f"docker compose --file {folder}/compose.yaml up --detach"
    files = {"compose.yaml": compose_file(plan), **({"outside.yaml": outside_file(plan)} if plan.is_fed else {})}
    there = "docker compose --file outside.yaml up --detach" if plan.is_fed else ""
    _write(files, plan, folder, then, there, json=json)


@app.command()
def quadlet(
    folder: Folder,
    file: File = _FILE,
    image: Image = _IMAGE,
    simulate: Simulate = False,
    site_url: SiteUrl = "",
    json: Json = False,
) -> None:
    """Files of Quadlet (Podman 4.4 and newer): the control room, and the public site by itself.

    Secrets are referred to and never written; no file is overwritten.
    """
    from countingroom.app.deploy.plan import STORE_VARIABLE
    from countingroom.app.deploy.units import outside_quadlet_files, quadlet_files, receiver_secrets

    plan = _plan(file, image, simulate=simulate, site_url=site_url)
    names = [*plan.variables, *([STORE_VARIABLE] if plan.has_site and plan.has_database else [])]
    then = [f"podman secret create {plan.slug}-{name} FILE" for name in names]
    then += [f"cp {folder}/* /etc/containers/systemd", "systemctl daemon-reload", f"systemctl start {plan.slug}"]
    files, there = quadlet_files(plan), ""
    if plan.is_fed:
        files |= _outside(outside_quadlet_files(plan))
        made = [f"podman secret create {name} {file}" for name, file in receiver_secrets(plan)]
        made += [f"cp {OUTSIDE}/* /etc/containers/systemd", "systemctl daemon-reload"]
        there = " && ".join([*made, f"systemctl start {plan.slug}-receiver {plan.slug}-site"])
    _write(files, plan, folder, " && ".join(then), there, json=json)


@app.command()
def kubernetes(
    folder: Folder,
    file: File = _FILE,
    image: Image = _IMAGE,
    simulate: Simulate = False,
    site_url: SiteUrl = "",
    json: Json = False,
) -> None:
    """Manifests of Kubernetes: the control room, and the public site, which can reach nothing.

    Secrets are referred to and never written; no file is overwritten.
    """
    from countingroom.app.deploy.described import description_texts
    from countingroom.app.deploy.kubernetes import (
        control_room_file,
        outside_file,
        outside_secret_command,
        secret_command,
        site_file,
    )

    plan = _plan(file, image, simulate=simulate, site_url=site_url)
    files = {"control-room.yaml": control_room_file(plan, description_texts(plan))}
    if plan.has_site:
        files["site.yaml"] = site_file(plan)
    then = [command for command in (secret_command(plan), f"kubectl apply --filename {folder}") if command]
    there = ""
    if plan.is_fed:
        files |= _outside({"receiver.yaml": outside_file(plan)})
        there = f"{outside_secret_command(plan)} && kubectl apply --filename {OUTSIDE}"
    _write(files, plan, folder, " && ".join(then), there, json=json)


@app.command()
def systemd(
    folder: Folder,
    user: Annotated[str, typer.Option("--user", help="Account that runs it.", show_default=False)],
    file: File = _FILE,
    simulate: Simulate = False,
    site_url: SiteUrl = "",
    json: Json = False,
) -> None:
    """Units of systemd for the countingroom that is installed here: `up`, and the public site.

    Secrets are referred to and never written; no file is overwritten.
    """
    import sys

    from countingroom.app.deploy.units import outside_systemd_files, systemd_files

    plan = _plan(file, "", simulate=simulate, site_url=site_url)
    then = f"cp {folder}/*.service /etc/systemd/system && systemctl daemon-reload && systemctl enable --now {plan.slug}"
    program = str(Path(sys.executable).parent / "countingroom")
    files, there = systemd_files(plan, program, user), ""
    if plan.is_fed:
        files |= _outside(outside_systemd_files(plan, program, user))
        units = f"{plan.slug}-receiver {plan.slug}-site"
        there = f"cp {OUTSIDE}/* /etc/systemd/system && systemctl daemon-reload && systemctl enable --now {units}"
    _write(files, plan, folder, then, there, user=user, json=json)


@app.command()
def probe(
    url: Annotated[str, typer.Argument(help="Address of a server on this computer.", show_default=False)],
) -> None:
    """Ask a server on this computer whether it answers: the health check of a container. Exit status 1: it does not."""
    from countingroom.app.deploy.probe import answer

    typer.echo(answer(url, _PROBE_S))


def _plan(file: Path, image: str, *, simulate: bool, site_url: str) -> DeployPlan:
    from countingroom.app.deploy.described import plan_of

    return plan_of(file, image=image, simulate=simulate, site_url=site_url.rstrip("/"))


def _outside(files: dict[str, str]) -> dict[str, str]:
    return {f"{OUTSIDE}/{name}": text for name, text in files.items()}


def _write(
    files: dict[str, str], plan: DeployPlan, folder: Path, then: str, there: str = "", *, user: str = "", json: bool
) -> None:
    """Write the files, and tell the notes and the next command. `there`: the one of the computer outside."""
    from countingroom.app.deploy.plan import notes
    from countingroom.cli.example import write_new

    written = {folder / name: text for name, text in files.items()}
    write_new(written)
    told = [*notes(plan, user), *([f"on the computer outside: {there}"] if there else [])]
    _tell(written, told, then, json=json)


def _tell(files: Iterable[Path], notes: Iterable[str], then: str, *, json: bool) -> None:
    if json:
        print_json({"files": [str(path) for path in files], "notes": list(notes), "next": then})
        return
    for path in files:
        typer.echo(path)
    for note in notes:
        typer.echo(f"note: {note}")
    typer.echo(f"next: {then}")
