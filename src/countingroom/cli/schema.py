"""The command `schema`: it prints the description's JSON Schema, so that editors show errors while typing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Print the description's JSON Schema, for editors.")


@app.command()
def schema(
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the schema to this file.", show_default=False)
    ] = None,
) -> None:
    """Print the description's JSON Schema, for editors."""
    import json

    from countingroom.core.errors import ConfigurationError
    from countingroom.experiment import schema as made

    text = json.dumps(made(), indent=2, ensure_ascii=False) + "\n"
    if output is None:
        typer.echo(text, nl=False)
    else:
        try:
            output.write_text(text, encoding="utf-8")
        except OSError as error:
            raise ConfigurationError(
                f"{output} cannot be written: {error.strerror}", source="--output", suggestion="name another file"
            ) from error
