"""The commands `arm` and `disarm` of rules. The description of each rule gives the role that they need."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

from countingroom.alarms.rules.rule_keeper import RuleKeeper
from countingroom.alarms.table_target import TableTarget
from countingroom.bus.command_request import CommandHandler, CommandRequest, Completion
from countingroom.bus.publisher import Publisher
from countingroom.core import policy, subjects
from countingroom.core.clock import Clock
from countingroom.core.commands.rules import RULES
from countingroom.core.errors import Denied, Refused
from countingroom.core.messages import Command
from countingroom.core.policy import Permission, Principal, Role


class RuleCommands(TableTarget):
    """The target `_rules`."""

    def __init__(self, keeper: RuleKeeper, publisher: Publisher) -> None:
        self._keeper = keeper
        super().__init__(RULES, {"arm": self._arm, "disarm": self._disarm}, "rules", publisher)

    def present(self, command: Command) -> str:
        return "armed" if self._keeper.is_armed(str(command.arguments.get("rule", ""))) else "disarmed"

    async def _arm(self, request: CommandRequest) -> Completion:
        await self._keeper.arm(request.text("rule"), armed=True, by=request.by, reason=request.text("reason", ""))
        return None

    async def _disarm(self, request: CommandRequest) -> Completion:
        await self._keeper.arm(request.text("rule"), armed=False, by=request.by, reason=request.text("reason"))
        return None


class RulePolicy:
    """Refuses commands for which the role of the sender is too low."""

    def __init__(self, clock: Clock, principal: Callable[[str, str], Awaitable[Principal]], keeper: RuleKeeper) -> None:
        """`principal`: (user, target) -> the principal with its roles (`Principals.principal`)."""
        self._clock = clock
        self._principal = principal
        self._keeper = keeper

    @asynccontextmanager
    async def __call__(
        self, request: CommandRequest, handler: CommandHandler, permission: Permission
    ) -> AsyncGenerator[None]:
        """Entered while a command begins. Refused or Denied if the policy does not allow the command."""
        target = subjects.EXPERIMENT
        user = await self._principal(request.by, target)
        if cause := policy.decide(user, permission, target, now_ns=self._clock.now_ns()):
            raise Refused(cause)
        name = request.text("rule")
        needed = Role[self._keeper.arming_role(name).upper()]
        if (role := user.on(target)) < needed:
            raise Denied(
                f"{user.name} is {role.name.lower()}; to {request.command.action} the rule {name} needs "
                f"{needed.name.lower()}",
                source="policy",
                evidence={"principal": user.name, "role": role.name.lower(), "needs": needed.name.lower()},
            )
        yield
