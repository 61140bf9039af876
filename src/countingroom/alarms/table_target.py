"""A command target that is described by a table of `core/commands`. Its handlers decide whether a command is legal."""

from __future__ import annotations

from collections.abc import Mapping

from countingroom.bus.command_request import CommandHandler, CommandRequest, Handler, find_handler, from_rows
from countingroom.bus.publisher import Publisher
from countingroom.core.commands.row import CommandTable
from countingroom.core.errors import Cause
from countingroom.core.messages import Command
from countingroom.core.policy import Permission


class TableTarget:
    """Implements `CommandTarget` of the command server from a command table."""

    def __init__(
        self, rows: CommandTable, handlers: Mapping[str, Handler], title: str, publisher: Publisher | None = None
    ) -> None:
        """`title`: name of the target in error texts. `publisher`: publishes its states; None if it has no state."""
        self._rows = rows
        self._handlers = from_rows(rows, handlers)
        self._title = title
        self._publisher = publisher

    def handler(self, command: Command) -> CommandHandler:
        return find_handler(self._handlers, command, self._title)

    def permission(self, command: Command) -> Permission:
        return self._rows[command.action].permission if command.action in self._rows else Permission.ADMINISTER

    def present(self, command: Command) -> str:
        """Empty: the state that the sender saw is not compared. A command may name several alarms at once."""
        return ""

    def refusal(self, request: CommandRequest) -> Cause | None:
        """Always None: the handlers refuse illegal commands."""
        return None

    async def settle(self) -> Mapping[str, int]:
        if self._publisher is None:
            return {}
        await self._publisher.flush()
        return {"state": self._publisher.revision} if self._publisher.revision else {}
