"""The commands of the experiment as a whole: partitions, detectors, configurations and tags."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from functools import partial
from typing import Any
from uuid import uuid4

from countingroom.bus.ask import ask
from countingroom.bus.command_request import (
    CommandHandler,
    CommandRequest,
    Completion,
    Handler,
    find_handler,
    from_rows,
)
from countingroom.bus.port import Entry
from countingroom.core import subjects
from countingroom.core.clock import within
from countingroom.core.command_permissions import of_experiment
from countingroom.core.commands.control import CONTROL_COMMANDS
from countingroom.core.commands.experiment import EXPERIMENT
from countingroom.core.errors import Cause, Conflict, NotFound, OutOfRange
from countingroom.core.messages import Command, Malformed, Reply, decode_json
from countingroom.core.policy import Permission
from countingroom.core.run_book import RunNote
from countingroom.core.systems import Action
from countingroom.core.values import Scalar
from countingroom.core.yaml.located import Mistaken
from countingroom.core.yaml.validation_errors import did_you_mean
from countingroom.runs.access.control_commands import control_commands
from countingroom.runs.access.control_lease import ControlLease
from countingroom.runs.context import RunControlContext
from countingroom.runs.coordinator.apply_description import ApplyDescription
from countingroom.runs.coordinator.move_plan import plan_move
from countingroom.runs.coordinator.move_transaction import MoveTransaction
from countingroom.runs.owner_messages import ANSWER_S

OWNED_S = 5.0
"""Time in which the owner of a new partition normally publishes it."""


MOST_RUNS = 1 << 53
"""The highest run number: JavaScript counts exactly up to here."""


class ExperimentCommands:
    """Handlers of the commands of the experiment. `announce` publishes the placement; every owner then reloads."""

    def __init__(
        self,
        context: RunControlContext,
        control: ControlLease,
        description: ApplyDescription,
        announce: Callable[[], Awaitable[None]],
    ) -> None:
        self._context = context
        self._description = description
        self._announce = announce
        self._transaction = MoveTransaction(context, announce)
        self._touched: set[str] = set()
        """Keys of the state bucket that a command led to."""
        handlers: dict[str, Handler] = {
            "move": self._move,
            "create_partition": self._create_partition,
            "delete_partition": self._delete_partition,
            "create_detector": self._create_detector,
            "delete_detector": self._delete_detector,
            "save_configuration": self._save_configuration,
            "delete_configuration": self._delete_configuration,
            "save_tag": self._save_tag,
            "delete_tag": self._delete_tag,
            "import": self._import,
            "apply": description.apply,
            "set_next_run": self._set_next_run,
            "comment": self._comment,
            "flag": self._flag,
            **control_commands(control, partial(context.principals.principal, target=subjects.EXPERIMENT)),
        }
        self.handlers: Mapping[str, CommandHandler] = from_rows(EXPERIMENT, handlers, of_control=CONTROL_COMMANDS)

    def handler(self, command: Command) -> CommandHandler:
        return find_handler(self.handlers, command, "the experiment")

    def permission(self, command: Command) -> Permission:
        return of_experiment(command.action)

    def present(self, command: Command) -> str:
        """The experiment has no state."""
        return ""

    def refusal(self, request: CommandRequest) -> Cause | None:
        """Legality depends on the arguments: the handlers refuse."""
        return None

    async def settle(self) -> Mapping[str, int]:
        """Whatever a command changed is published when it ends; this looks up the revisions."""
        await self._description.refresh()
        touched = {
            subjects.MAPPING_KEY,
            subjects.DESCRIPTION_KEY,
            subjects.control_key(subjects.EXPERIMENT),
            *self._touched,
        }
        self._touched.clear()
        entries = [await self._context.bus.get(subjects.STATE_BUCKET, key) for key in touched]
        return {"state": max((entry.revision for entry in entries if entry), default=0)}

    # Partitions and detectors.

    async def _move(self, request: CommandRequest) -> Completion:
        database, force = self._context.database, request.flag("force")
        partitions = {one.name for one in await database.partitions.list()}
        where = await database.mapping.all()
        move = plan_move(
            request.names("detectors"),
            request.text("to", ""),
            where=where,
            partitions=partitions,
            missing=self._missing,
            force=force,
        )

        async def rest() -> Mapping[str, Scalar]:
            if move.moves:
                await self._transaction.move(move, request.by, force=force)
                self._touched |= {subjects.partition_key(name) for name in move.partitions}
            return {"moved": len(move.moves)}

        return rest()

    def _missing(self, system: str) -> Cause | None:
        system_states = self._context.system_states
        if system_states.connected(system):
            return None
        return system_states.why_not(system) or Cause(
            code="agent_absent",
            message=f"no heartbeat of the agent of {system} has come so far",
            source=f"systems.{system}",
            suggestion=f"start the agent of {system}",
        )

    async def _create_partition(self, request: CommandRequest) -> Completion:
        name, template = request.text("name"), request.text("template", "cbm")
        known = self._context.section.templates
        if template not in known:
            hint = did_you_mean(template, known)
            raise NotFound(f"there is no template {template}{hint}", suggestion=f"choose one of {', '.join(known)}")
        there = self._context.section.global_systems
        if missing := [one for one in known[template].systems if one not in there]:
            raise Conflict(
                f"{template} needs the global system {', '.join(missing)}, which the description does not have",
                suggestion="add it to the description, or choose another template",
            )
        await self._context.database.partitions.create(name, template, request.text("title", name), request.by)
        await self._announce()
        return self._until_owned(name)

    async def _until_owned(self, partition: str) -> None:
        """Wait until the owner of a new partition has published it. Without one it is created all the same."""
        key = subjects.partition_key(partition)
        self._touched.add(key)
        with suppress(TimeoutError):
            async with (
                within(self._context.clock, OWNED_S),
                self._context.bus.watch(subjects.STATE_BUCKET, key) as entries,
            ):
                async for entry in entries:
                    if isinstance(entry, Entry) and entry.data is not None:
                        return

    async def _delete_partition(self, request: CommandRequest) -> Completion:
        name, force = request.text("name"), request.flag("force")
        await self._context.database.partitions.get(name)

        async def rest() -> Mapping[str, Scalar]:
            gone = await self._transaction.delete_partition(name, request.by, force=force)
            for key in (subjects.partition_key(name), subjects.control_key(name)):
                await self._context.bus.delete(subjects.STATE_BUCKET, key)
            await self._announce()  # its revision comes after those of the deletions
            return {"unmapped": ",".join(gone)}

        return rest()

    async def _create_detector(self, request: CommandRequest) -> Completion:
        name = request.text("name")
        if name in self._context.section.global_systems:
            raise Conflict(f"{name} is the name of a global system", suggestion="choose another name")
        known, given = self._context.section.detector_types, request.text("type", "")
        if given and known and given not in known:
            raise NotFound(
                f"no system of the description has the type {given}{did_you_mean(given, known)}",
                suggestion=f"choose one of {', '.join(known)}",
            )
        await self._context.database.mapping.create(name, request.by, type=given)
        await self._announce()
        return None

    async def _delete_detector(self, request: CommandRequest) -> Completion:
        name, known = request.text("name"), await self._context.database.mapping.all()
        if name not in known:
            raise NotFound(f"there is no detector {name}{did_you_mean(name, known)}")
        if not request.flag("force"):
            if not self._context.system_states.connected(name):
                raise Conflict(
                    f"{name} is not connected",
                    code="not_connected",
                    suggestion="start its agent, or delete it anyway with force",
                )
            await self._abort(name, request.by)
        await self._context.database.mapping.delete(name, request.by)
        await self._announce()
        return None

    async def _abort(self, detector: str, by: str) -> None:
        """Abort a detector before it is deleted, so that it does not stay active without control. Conflict when its
        agent refuses."""
        now_ns = self._context.clock.now_ns()
        command = Command(
            id=uuid4().hex,
            action=Action.ABORT,
            issued_ns=now_ns,
            deadline_ns=now_ns + round(ANSWER_S * 1e9),
            within_s=ANSWER_S,
            origin="delete_detector",
        )
        where = subjects.command(by, "systems", detector)
        reply = await ask(self._context.bus, where, command, Reply, timeout_s=ANSWER_S)
        if cause := reply.cause:
            raise Conflict(
                f"{detector} cannot be aborted",
                causes=(cause,),
                suggestion="move it out of its partition first, or delete it anyway with force",
            )

    # Configurations and tags.

    async def _save_configuration(self, request: CommandRequest) -> Completion:
        system = request.text("system")
        if system not in self._context.section.systems and system not in await self._context.database.mapping.all():
            hint = did_you_mean(system, self._context.section.systems)
            raise NotFound(f"there is no system {system}{hint}", suggestion="check the list of systems")
        parameters = _mapping(request, "parameters")
        await self._context.database.configurations.save(
            system,
            request.text("tag"),
            parameters,
            request.by,
            request.text("comment", ""),
            expected=request.whole("expected"),
        )
        await self._announce()
        return None

    async def _delete_configuration(self, request: CommandRequest) -> Completion:
        await self._context.database.configurations.delete(
            request.text("system"),
            request.text("tag"),
            request.by,
            request.text("comment", ""),
            with_tags=request.flag("with_tags"),
        )
        await self._announce()
        return None

    async def _save_tag(self, request: CommandRequest) -> Completion:
        systems = {name: str(tag) for name, tag in _mapping(request, "systems").items()}
        await self._context.database.tags.save(
            request.text("name"), systems, request.by, request.text("comment", ""), expected=request.whole("expected")
        )
        return None

    async def _delete_tag(self, request: CommandRequest) -> Completion:
        await self._context.database.tags.delete(request.text("name"), request.by, request.text("comment", ""))
        return None

    async def _import(self, request: CommandRequest) -> Completion:
        try:
            kept = await self._context.database.configurations.read(request.text("document"))
        except Mistaken as error:
            raise OutOfRange(
                f"the document cannot be imported: {error}", code="wrong_document", suggestion="correct these lines"
            ) from error
        await self._are_known({*kept.configurations, *kept.schemas})

        async def rest() -> None:
            await self._context.database.configurations.put(kept, request.by, request.text("comment", ""))
            await self._announce()

        return rest()

    async def _are_known(self, systems: Collection[str]) -> None:
        """NotFound for systems that are not in the description, are not detectors and have no configuration yet."""
        database = self._context.database
        known = {*self._context.section.systems, *await database.mapping.all()}
        known |= {one.system for one in await database.configurations.list()}
        causes = [
            Cause(
                code="not_found",
                message=f"there is no system {name}{did_you_mean(name, known)}",
                source=f"configurations.{name}",
                suggestion="correct the name, or create the detector first",
            )
            for name in sorted({*systems} - known)
        ]
        if causes:
            raise NotFound(
                "the document names systems that do not exist",
                causes=causes,
                suggestion="correct the names, or create the detectors first",
            )

    async def _set_next_run(self, request: CommandRequest) -> Completion:
        number = request.whole("number")
        if number is None or not 1 <= number <= MOST_RUNS:
            raise OutOfRange(
                f"number is a whole number from 1 to {MOST_RUNS}", code="wrong_argument", suggestion="give number"
            )

        async def rest() -> Mapping[str, Scalar]:
            following = await self._context.database.runs.skip_to(number)
            if following > number:
                raise Conflict(
                    f"the next run is {following} and stays so: the numbers below are used or skipped",
                    evidence={"next": following},
                    suggestion=f"give {following} or more",
                )
            return {"next": following}

        return rest()

    # Runs of deleted partitions: no owner answers for them, so the coordinator does.

    async def _comment(self, request: CommandRequest) -> Completion:
        number, text = await self._left_behind(request), request.text("text")
        note = RunNote(time_ns=self._context.clock.now_ns(), kind="comment", text=text, author=request.by)
        await self._context.database.runs.note(number, note)
        return None

    async def _flag(self, request: CommandRequest) -> Completion:
        number = await self._left_behind(request)
        await self._context.database.runs.flag(number, request.text("quality", ""), request.by)
        return None

    async def _left_behind(self, request: CommandRequest) -> int:
        """The number of a run of a deleted partition; Conflict when its partition still exists."""
        number = request.whole("run")
        if number is None:
            raise OutOfRange(f"{request.command.action} needs run", code="missing_argument", suggestion="give run")
        run = await self._context.database.runs.get(number)
        if run.partition in {one.name for one in await self._context.database.partitions.list()}:
            raise Conflict(
                f"run {number} belongs to {run.partition}",
                suggestion=f"send the command to the partition {run.partition}",
            )
        return number


def _mapping(request: CommandRequest, name: str) -> dict[str, Any]:
    try:
        found = decode_json(request.text(name, "{}"), dict[str, Scalar])
    except Malformed as error:
        raise OutOfRange(
            f"{name} is not a JSON object of plain values: {error}",
            code="wrong_argument",
            suggestion='write {"name": 1}',
        ) from error
    return dict(found)
