"""The command `init`: it writes users and permissions for the NATS servers of the site, and the passwords for `up`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()

PERMISSIONS = "nats-permissions.conf"
USERS = "bus-users.json"


@app.command()
def init(
    experiment: Annotated[Path, typer.Argument(help="The description, experiment.yaml.", show_default=False)],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the two files.")] = Path("secrets"),
) -> None:
    """Write users and permissions for the configuration of the site's NATS server, and a file with the passwords.

    Include the first file in the server, and name the second in the description: `bus: {url: …, users_file: …}`.
    Called again after a change of the description, it keeps the passwords of the users that exist.
    """
    from countingroom.app import bus_users
    from countingroom.bus.server import credentials
    from countingroom.bus.server.configuration import permissions_text
    from countingroom.core.umask import keep_files_private
    from countingroom.experiment import load

    description = load(experiment)
    users = bus_users.users(description)
    made = credentials.new(description.bus.url, [credentials.SUPERVISOR, *(user.name for user in users)])
    file = output / USERS
    if file.exists():
        for name, password in credentials.read(file).passwords.items():
            if name in made.passwords:
                made.passwords[name] = password
    keep_files_private()
    output.mkdir(parents=True, exist_ok=True)
    text = permissions_text(users, made.passwords)
    credentials.write_private(output / PERMISSIONS, text.encode())
    credentials.write_private(file, credentials.encoded(made))
    typer.echo(f"{output / PERMISSIONS}: include it in the configuration of the server, then reload the server")
    typer.echo(f"{file}: name it in the description, as users_file in the section bus")
