"""The reference of the commands is made from the commands, so it cannot differ from them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer

from countingroom.cli.main import app

HEAD = """# Commands

Exit status: 0 done; 1 refused or failed, with its cause on standard error; 2 wrong usage, or an invalid description.
Every command that prints a table takes `--json`. Commands that talk to a running console find it at `--url`, or at
the address in `COUNTINGROOM_URL`. Without them they use the experiment that runs on this machine. They find it by its
data folder (the one in `COUNTINGROOM_DATA`, or those below `~/.local/state/countingroom`), or `http://127.0.0.1:8080`.
"""


def page() -> str:
    """The page, as Markdown."""
    return HEAD + "".join(_told(words, command) for words, command in commands())


def commands() -> Iterator[tuple[str, Any]]:
    """(`countingroom device list`, its command), groups and their members in the order of the help."""
    yield from _below("countingroom", typer.main.get_command(app))


def _below(words: str, group: Any) -> Iterator[tuple[str, Any]]:
    context = group.make_context(words, [], resilient_parsing=True)
    for name in group.list_commands(context):
        _, command, _ = group.resolve_command(context, [name])
        if command.hidden:
            continue
        if hasattr(command, "list_commands"):
            yield from _below(f"{words} {name}", command)
        else:
            yield f"{words} {name}", command


def _told(words: str, command: Any) -> str:
    shown = [one for one in command.params if not getattr(one, "hidden", False) and "--help" not in one.opts]
    arguments = [one for one in shown if one.param_type_name == "argument"]
    options = [one for one in shown if one.param_type_name == "option"]
    usage = " ".join([words, *(_name(one) for one in arguments)])
    lines = [f"\n## {words}\n", f"`{usage}{' [OPTIONS]' if options else ''}`\n", f"{(command.help or '').strip()}\n"]
    for one in arguments:
        if one.help:
            lines.append(f"{_name(one)}\n: {one.help}\n")
    for one in options:
        lines.append(f"`{', '.join([*one.opts, *one.secondary_opts])}`\n: {_help(one)}\n")
    return "\n".join(lines)


def _help(option: Any) -> str:
    default = option.default
    shown = default not in {None, False, ""} and not callable(default)
    return f"{option.help or ''}{f' Default: `{default}`.' if shown else ''}".strip() or "—"


def _name(argument: Any) -> str:
    if argument.metavar:
        return argument.metavar
    word = argument.name.upper()
    return word if argument.required else f"[{word}]"
