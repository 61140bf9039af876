"""The command `user`: accounts, roles, links and tokens, written directly to the experiment's database.

It needs no login, only access to the data folder. Each change is written to the audit. Other administration of users
is done on the console's page.
"""

from __future__ import annotations

import asyncio
import getpass
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from countingroom.cli.output import Json, print_json, print_table

if TYPE_CHECKING:
    from countingroom.console.auth.accounts import Accounts
    from countingroom.core.policy import Principal

T = TypeVar("T")

app = typer.Typer(no_args_is_help=True, help="Accounts of the console: the first administrator, tokens, roles.")

Experiment = Annotated[Path, typer.Argument(help="The description, experiment.yaml.", show_default=False)]
Data = Annotated[Path | None, typer.Option("--data", help="Data folder of the experiment.", show_default=False)]
Name = Annotated[str, typer.Argument(help="The user.", show_default=False)]
Target = Annotated[str, typer.Option("--for", help="*, device.NAME, partition.NAME, _experiment; * and ? for letters.")]
_DAY_S = 86_400.0


@app.command()
def first(experiment: Experiment, data: Data = None) -> None:
    """Print a link with which the first administrator sets a password. It works once, for one day."""
    secret = _do(experiment, data, "first", "", lambda accounts, by: accounts.first())
    if secret is None:
        typer.echo("An administrator exists already. For a new password: countingroom user link EXPERIMENT NAME")
    else:
        typer.echo(_link(experiment, data, secret))


@app.command()
def add(
    experiment: Experiment,
    name: Name,
    role: Annotated[str, typer.Option("--role", help="viewer, shifter, expert or administrator.")] = "viewer",
    target: Target = "*",
    full_name: Annotated[str, typer.Option("--full-name")] = "",
    data: Data = None,
) -> None:
    """Add an account and print the link with which its user sets a password."""
    from countingroom.console.auth.accounts import role_of

    roles = {target: role_of(role)}
    secret = _do(
        experiment, data, "add", name, lambda accounts, by: accounts.add(name, by, full_name=full_name, roles=roles)
    )
    typer.echo(_link(experiment, data, secret))


@app.command()
def link(experiment: Experiment, name: Name, data: Data = None) -> None:
    """Print a link for a new password. It works once, for one day; earlier links end."""
    secret = _do(experiment, data, "link", name, lambda accounts, by: accounts.link(name, by))
    typer.echo(_link(experiment, data, secret))


@app.command()
def grant(
    experiment: Experiment,
    name: Name,
    role: Annotated[str, typer.Argument(help="viewer, shifter, expert, administrator; none removes the role.")],
    target: Target = "*",
    data: Data = None,
) -> None:
    """Grant or remove a role. It takes effect at once."""
    from countingroom.console.auth.accounts import role_of

    given = None if role == "none" else role_of(role)
    _do(experiment, data, "grant", name, lambda accounts, by: accounts.grant(name, target, given, by))


@app.command()
def disable(
    experiment: Experiment,
    name: Name,
    again: Annotated[bool, typer.Option("--undo", help="Let in again.")] = False,
    data: Data = None,
) -> None:
    """Disable an account. All its logins and tokens end."""
    _do(experiment, data, "disable", name, lambda accounts, by: accounts.disable(name, not again, by))


@app.command()
def token(
    experiment: Experiment,
    name: Name,
    days: Annotated[float, typer.Option("--days", min=0.01, max=365, help="How long the token is valid.")] = 365.0,
    scope: Annotated[
        str, typer.Option("--scope", help="read, or operate: what the user may, except administration.")
    ] = "operate",
    target: Annotated[str, typer.Option("--for", help="With operate: the only target; * and ? for letters.")] = "*",
    what_for: Annotated[
        str, typer.Option("--what-for", help="Purpose of the token, shown in the list of logins.")
    ] = "",
    data: Data = None,
) -> None:
    """Print a token with which programs act as this user. Put it into COUNTINGROOM_TOKEN, or into a file that
    COUNTINGROOM_TOKEN_FILE names."""
    from countingroom.console.auth.accounts import READ
    from countingroom.core.policy import Role

    if scope not in ("read", "operate"):
        raise typer.BadParameter("choose read or operate", param_hint="--scope")
    limits = READ if scope == "read" else {target: Role.EXPERT}
    secret = _do(
        experiment,
        data,
        "token",
        name,
        lambda accounts, by: accounts.token(
            name, what_for=what_for or f"made by {by.name}", scope=limits, lifetime_s=days * _DAY_S
        ),
    )
    typer.echo(secret)


@app.command("list")
def list_users(experiment: Experiment, data: Data = None, json: Json = False) -> None:
    """List every account with its roles."""
    found = _do(experiment, data, "", "", lambda accounts, by: accounts.list_accounts())
    if json:
        import msgspec

        return print_json(msgspec.to_builtins({"users": found}))
    rows: list[tuple[object, ...]] = []
    for one in found:
        state = "disabled" if one.user.disabled else "may log in" if one.user.has_password else "no password yet"
        roles = ", ".join(f"{role} of {target}" for target, role in one.roles.items()) or "viewer"
        rows.append((one.user.name, one.user.full_name, roles, state, one.logins))
    return print_table(("name", "full name", "roles", "state", "logins"), rows, numbers=("logins",))


def _do(
    experiment: Path, data: Path | None, what: str, target: str, work: Callable[[Accounts, Principal], Awaitable[T]]
) -> T:
    """Open the experiment's database and run the action. With the name of an action, write an audit entry."""
    from countingroom.app.data_folder import default_data
    from countingroom.app.database import opened
    from countingroom.console.auth.accounts import Accounts
    from countingroom.core.accounts import AuditEntry, Outcome
    from countingroom.core.clock import SystemClock
    from countingroom.core.errors import CountingRoomError
    from countingroom.core.policy import Principal, Role
    from countingroom.core.umask import keep_files_private
    from countingroom.experiment import load

    keep_files_private()  # it may be the first to create the database
    section, clock = load(experiment).storage, SystemClock()
    by = Principal(name=_me(), role=Role.ADMINISTRATOR)

    async def run() -> T:
        async with opened(section, (data or default_data(experiment)).resolve(), clock) as database:
            cause = None
            try:
                return await work(Accounts(database, clock), by)
            except CountingRoomError as error:
                cause = error.cause
                raise
            finally:
                if what:
                    entry = AuditEntry(
                        time_ns=clock.now_ns(),
                        who=by.name,
                        what=what,
                        target=f"name.{target}" if target else "",
                        origin="cli",
                        outcome=Outcome.REFUSED if cause else Outcome.ACCEPTED,
                        cause=cause,
                    )
                    await database.audit.append(entry)

    return asyncio.run(run())


def _me() -> str:
    """Login name of the user at this terminal, as the operating system gives it."""
    try:
        return f"cli-{getpass.getuser()}"
    except (KeyError, OSError):
        return f"cli-{os.getuid()}"


def _link(experiment: Path, data: Path | None, secret: str) -> str:
    """The link at the running console. Its port may differ from that of the description."""
    from countingroom.app.data_folder import default_data
    from countingroom.cli.running import console_of
    from countingroom.console.description import ConsoleSection
    from countingroom.experiment import load

    section = load(experiment).section(ConsoleSection)
    address = console_of(data or default_data(experiment)) or section.address(section.port)
    return f"{address.rstrip('/')}/link#{secret}"
