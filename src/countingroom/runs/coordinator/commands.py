"""Law: what the experiment as a whole can be asked for is this table of words; each change is written down."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from functools import partial
from typing import Any
from uuid import uuid4

import msgspec

from countingroom.core import subjects
from countingroom.core.errors import Cause, Conflict, NotFound, OutOfRange
from countingroom.core.messages import Command, Reply, decode, encode
from countingroom.core.run_book import RunNote
from countingroom.core.systems import Action
from countingroom.core.values import Scalar
from countingroom.core.yaml.located import Mistaken
from countingroom.core.yaml.validation_errors import did_you_mean
from countingroom.runs.access.arguments import Asked, Rest, Word
from countingroom.runs.access.control_commands import control_words
from countingroom.runs.access.control_lease import ControlDesk
from countingroom.runs.context import Office
from countingroom.runs.coordinator.move_plan import plan_move
from countingroom.runs.coordinator.move_transaction import Transaction
from countingroom.runs.owner_messages import ANSWER_S


class ExperimentWords:
    """Carries out what is asked of the experiment. `announce` tells everybody who is where, and that things changed."""

    def __init__(self, office: Office, control: ControlDesk, announce: Callable[[], Awaitable[None]]) -> None:
        self._office, self._announce = office, announce
        self._transaction = Transaction(office, announce)
        self.words: Mapping[str, Word] = {
            "move": Word(self._move, takes=("detectors", "to", "force")),
            "create_partition": Word(self._create_partition, takes=("name", "template", "title")),
            "delete_partition": Word(self._delete_partition, takes=("name", "force")),
            "create_detector": Word(self._create_detector, takes=("name", "type")),
            "delete_detector": Word(self._delete_detector, takes=("name", "force")),
            "save_configuration": Word(
                self._save_configuration, takes=("system", "tag", "parameters", "comment", "expected")
            ),
            "delete_configuration": Word(self._delete_configuration, takes=("system", "tag", "comment", "with_tags")),
            "save_tag": Word(self._save_tag, takes=("name", "systems", "comment", "expected")),
            "delete_tag": Word(self._delete_tag, takes=("name", "comment")),
            "import": Word(self._import, takes=("document", "comment")),
            "comment": Word(self._comment, takes=("run", "text")),
            "flag": Word(self._flag, takes=("run", "quality")),
            **control_words(control, partial(office.people.principal, target=subjects.EXPERIMENT)),
        }

    @property
    def present(self) -> str:
        """The experiment has no state."""
        return ""

    def refusal(self, asked: Asked) -> Cause | None:
        """Nothing is refused for what it is."""
        return None

    # Who is where.

    async def _move(self, asked: Asked) -> Rest:
        database, force = self._office.database, asked.flag("force")
        partitions = {one.name for one in await database.partitions.list()}
        where = await database.mapping.all()
        move = plan_move(
            asked.names("detectors"),
            asked.text("to", ""),
            where=where,
            partitions=partitions,
            missing=self._missing,
            force=force,
        )

        async def rest() -> Mapping[str, Scalar]:
            if move.moves:
                await self._transaction.move(move, asked.by, force=force)
            return {"moved": len(move.moves)}

        return rest()

    def _missing(self, system: str) -> Cause | None:
        reports = self._office.reports
        if reports.connected(system):
            return None
        return reports.why_not(system) or Cause(
            code="agent_absent",
            message=f"the agent of {system} has not been heard so far",
            source=f"systems.{system}",
            suggestion=f"start the agent of {system}",
        )

    async def _create_partition(self, asked: Asked) -> Rest:
        name, template = asked.text("name"), asked.text("template", "cbm")
        known = self._office.section.templates
        if template not in known:
            hint = did_you_mean(template, known)
            raise NotFound(f"there is no template {template}{hint}", suggestion=f"there are {', '.join(known)}")
        there = self._office.section.global_systems
        if missing := [one for one in known[template].systems if one not in there]:
            raise Conflict(
                f"{template} needs the global system {', '.join(missing)}, which the description does not have",
                suggestion="add it to the description, or choose another template",
            )
        await self._office.database.partitions.create(name, template, asked.text("title", name), asked.by)
        await self._announce()
        return None

    async def _delete_partition(self, asked: Asked) -> Rest:
        name, force = asked.text("name"), asked.flag("force")
        await self._office.database.partitions.get(name)

        async def rest() -> Mapping[str, Scalar]:
            gone = await self._transaction.delete_partition(name, asked.by, force=force)
            for key in (subjects.partition_key(name), subjects.control_key(name)):
                await self._office.bus.delete(subjects.STATE_BUCKET, key)
            return {"unmapped": ",".join(gone)}

        return rest()

    async def _create_detector(self, asked: Asked) -> Rest:
        name = asked.text("name")
        if name in self._office.section.global_systems:
            raise Conflict(f"{name} is a global system", suggestion="take another name")
        await self._office.database.mapping.create(name, asked.by, type=asked.text("type", ""))
        await self._announce()
        return None

    async def _delete_detector(self, asked: Asked) -> Rest:
        name, known = asked.text("name"), await self._office.database.mapping.all()
        if name not in known:
            raise NotFound(f"there is no detector {name}{did_you_mean(name, known)}")
        if not asked.flag("force"):
            if not self._office.reports.connected(name):
                raise Conflict(
                    f"{name} is not connected",
                    code="not_connected",
                    suggestion="start its agent, or delete it anyway with force",
                )
            await self._abort(name, asked.by)
        await self._office.database.mapping.delete(name, asked.by)
        await self._announce()
        return None

    async def _abort(self, detector: str, by: str) -> None:
        """What is forgotten is left in peace. Conflict where it is in a partition, or says no."""
        now_ns = self._office.clock.now_ns()
        command = Command(
            id=uuid4().hex,
            action=Action.ABORT,
            issued_ns=now_ns,
            deadline_ns=now_ns + round(ANSWER_S * 1e9),
            origin="delete_detector",
        )
        where = subjects.command(by, "systems", detector)
        message = await self._office.bus.request(where, encode(command), timeout_s=ANSWER_S)
        if cause := decode(message.data, Reply).cause:
            raise Conflict(
                f"{detector} cannot be aborted",
                causes=(cause,),
                suggestion="move it out of its partition first, or delete it anyway with force",
            )

    # Configurations and tags.

    async def _save_configuration(self, asked: Asked) -> Rest:
        system = asked.text("system")
        if system not in self._office.section.systems and system not in await self._office.database.mapping.all():
            hint = did_you_mean(system, self._office.section.systems)
            raise NotFound(f"there is no system {system}{hint}", suggestion="look at the list of systems")
        parameters = _mapping(asked, "parameters")
        await self._office.database.configurations.save(
            system, asked.text("tag"), parameters, asked.by, asked.text("comment", ""), expected=asked.whole("expected")
        )
        await self._announce()
        return None

    async def _delete_configuration(self, asked: Asked) -> Rest:
        await self._office.database.configurations.delete(
            asked.text("system"),
            asked.text("tag"),
            asked.by,
            asked.text("comment", ""),
            with_tags=asked.flag("with_tags"),
        )
        await self._announce()
        return None

    async def _save_tag(self, asked: Asked) -> Rest:
        systems = {name: str(tag) for name, tag in _mapping(asked, "systems").items()}
        await self._office.database.tags.save(
            asked.text("name"), systems, asked.by, asked.text("comment", ""), expected=asked.whole("expected")
        )
        return None

    async def _delete_tag(self, asked: Asked) -> Rest:
        await self._office.database.tags.delete(asked.text("name"), asked.by, asked.text("comment", ""))
        return None

    async def _import(self, asked: Asked) -> Rest:
        try:
            kept = await self._office.database.configurations.read(asked.text("document"))
        except Mistaken as error:
            raise OutOfRange(
                f"the document cannot be imported: {error}", code="wrong_document", suggestion="correct these lines"
            ) from error
        await self._are_known({*kept.configurations, *kept.schemas})

        async def rest() -> None:
            await self._office.database.configurations.put(kept, asked.by, asked.text("comment", ""))
            await self._announce()

        return rest()

    async def _are_known(self, systems: Collection[str]) -> None:
        """NotFound, naming those that are neither described nor detectors, and have no configuration so far."""
        database = self._office.database
        known = {*self._office.section.systems, *await database.mapping.all()}
        known |= {one.system for one in await database.configurations.list()}
        causes = [
            Cause(
                code="not_found",
                message=f"there is no system {name}{did_you_mean(name, known)}",
                source=f"configurations.{name}",
                suggestion="correct the name, or make the detector known first",
            )
            for name in sorted({*systems} - known)
        ]
        if causes:
            raise NotFound(
                "the document names systems that are not there",
                causes=causes,
                suggestion="correct the names, or make the detectors known first",
            )

    # Runs of partitions that are no more.

    async def _comment(self, asked: Asked) -> Rest:
        number, text = await self._left_behind(asked), asked.text("text")
        note = RunNote(time_ns=self._office.clock.now_ns(), kind="comment", text=text, author=asked.by)
        await self._office.database.runs.note(number, note)
        return None

    async def _flag(self, asked: Asked) -> Rest:
        number = await self._left_behind(asked)
        await self._office.database.runs.flag(number, asked.text("quality", ""), asked.by)
        return None

    async def _left_behind(self, asked: Asked) -> int:
        """The run that is meant; Conflict where its partition can be asked."""
        number = asked.whole("run")
        if number is None:
            raise OutOfRange(f"{asked.command.action} needs run", code="missing_argument", suggestion="give run")
        run = await self._office.database.runs.get(number)
        if run.partition in {one.name for one in await self._office.database.partitions.list()}:
            raise Conflict(f"run {number} is of {run.partition}", suggestion=f"ask {run.partition}")
        return number


def _mapping(asked: Asked, name: str) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(asked.text(name, "{}"), type=dict[str, Scalar])
    except msgspec.DecodeError as error:
        raise OutOfRange(
            f"{name} is no JSON object of plain values: {error}", code="wrong_argument", suggestion='write {"name": 1}'
        ) from error
    return dict(found)
