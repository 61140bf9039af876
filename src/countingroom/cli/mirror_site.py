"""The commands `mirror site` and `mirror export`: the public site as a server, and as files. They read the public
store, and no description."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from countingroom.cli.output import Json, print_json
from countingroom.core.errors import ConfigurationError

Store = Annotated[
    str,
    typer.Option(
        "--store",
        envvar="COUNTINGROOM_MIRROR_STORE",
        help="The public store: a file of SQLite, or postgresql://user@host/name. With a password in it, give it in "
        "the environment.",
        show_default=False,
    ),
]
Title = Annotated[str, typer.Option("--title", help="What the site is called: the name of the experiment.")]
Url = Annotated[
    str, typer.Option("--url", help="Its public address, for feeds and badges: https://status.example.org/dqm.")
]


def add_to(app: typer.Typer) -> None:
    """Add the commands to the group."""
    app.command()(site)
    app.command()(export)


def site(
    store: Store,
    host: Annotated[str, typer.Option("--host", help="Address to listen at; 0.0.0.0 for all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes any free port.")] = 8090,
    title: Title = "Experiment",
    url: Url = "",
    behind_proxy: Annotated[
        bool,
        typer.Option("--behind-proxy", help="A proxy is before it: connections of one address are not limited."),
    ] = False,
) -> None:
    """Serve the public site: a process that reads the public store and nothing else.

    It has no bus, no description and no secret of the inside, and answers GET alone. Run it where the public store is.
    """
    from countingroom.app import public_site

    settings = public_site.SiteSettings(title=title, url=address(url), prefix=urlsplit(url).path.rstrip("/"))
    plan = public_site.SitePlan(
        store=store_url(store), settings=settings, host=host, port=port, behind_proxy=behind_proxy
    )
    public_site.run(plan, say=lambda line: print(line, flush=True))


def export(
    folder: Annotated[Path, typer.Argument(help="Where the files are written.", show_default=False)],
    store: Store,
    runs: Annotated[int, typer.Option("--runs", min=0, max=1000, help="Pages of so many of the last runs.")] = 100,
    title: Title = "Experiment",
    url: Url = "",
    json: Json = False,
) -> None:
    """Write the public site as files, for a web server that stays up when this one is down.

    Files that have not changed are left alone. The pages say when the copy was made; run it from a timer.
    """
    from countingroom.app import public_site

    settings = public_site.SiteSettings(title=title, url=address(url), prefix=urlsplit(url).path.rstrip("/"))
    done = public_site.write(store_url(store), settings, folder, runs)
    if json:
        print_json(done)
    else:
        typer.echo(f"{folder}: {done.files} files, {done.written} of them new or changed")


def store_url(store: str) -> str:
    """The URL of a store that is given as one, or as the path of a file; ConfigurationError for another kind."""
    if "://" not in store:
        return f"sqlite:///{Path(store).absolute()}"
    if not store.startswith(("sqlite:///", "postgresql://")):
        raise ConfigurationError(
            "the public store is a file of SQLite or postgresql://…", source="--store", code="wrong_store"
        )
    return store


def address(url: str) -> str:
    """The public address without its last slash; ConfigurationError where it is none."""
    if url and not url.startswith(("http://", "https://")):
        raise ConfigurationError(f"{url!r} is not an address: https://…", source="--url", code="wrong_address")
    return url.rstrip("/")
