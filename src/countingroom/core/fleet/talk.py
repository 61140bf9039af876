"""A command to actors of the fleet: which ones get it, what they said, and how it ended. Pure.

While it runs, and for a time after, its state is published at the key `talk.<id>`; `id` is that of the command `talk`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any

from msgspec import Struct, structs

from countingroom.core.actor.messages import KeywordValue
from countingroom.core.errors import Cause, Conflict, NotFound, OutOfRange
from countingroom.core.fleet.specs import InstanceId
from countingroom.core.subjects import is_token


class TalkPolicy(StrEnum):
    """When a talk as a whole is done; otherwise it failed."""

    ALL = "all"
    MAJORITY = "majority"
    """More than half of the actors."""
    ANY = "any"
    """At least one."""


class TalkOutcome(StrEnum):
    """Of one actor."""

    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"
    """The actor says so, or it does not run."""
    LATE = "late"
    """It did not end by the deadline. What became of the command is not known."""
    LOST = "lost"
    """The actor was not reached, or its connection ended."""
    STOPPED = "stopped"
    """A user ended the wait for it. What became of the command is not known."""


class TalkReply(Struct, frozen=True, kw_only=True):
    """One reply of an actor."""

    node: str
    service: str
    index: int = 0
    code: str
    """As in the actor protocol: `>`, `:`, `f`, `e`, `!`, `i`, `w`, `d`."""
    keywords: dict[str, Any] = {}
    time_ns: int = 0


class TalkActor(Struct, frozen=True, kw_only=True):
    """One actor that was asked."""

    node: str
    service: str
    index: int = 0
    outcome: TalkOutcome = TalkOutcome.WAITING
    cause: Cause | None = None
    """Why it is not done."""
    took_s: float | None = None
    files: tuple[str, ...] = ()
    """Names of files that it told as `filename`."""


class TalkState(Struct, frozen=True, kw_only=True):
    """A talk."""

    id: str
    command: str
    """What the actors were sent."""
    by: str
    time_ns: int
    deadline_s: float
    """Of each actor."""
    policy: TalkPolicy = TalkPolicy.ALL
    actors: tuple[TalkActor, ...] = ()
    """In the order of the description."""
    replies: tuple[TalkReply, ...] = ()
    """In the order in which they came."""
    left_out: int = 0
    """So many replies before these are not kept."""
    is_over: bool = False
    stopped_by: str = ""
    """The user who ended the wait for the actors that had not ended."""
    cause: Cause | None = None
    """Why it failed."""

    @property
    def files(self) -> tuple[str, ...]:
        """The files of all actors together, in the order of the actors."""
        return tuple(name for one in self.actors for name in one.files)


class Speaker(Struct, frozen=True, kw_only=True):
    """An instance that speaks the actor protocol, or would if it were there."""

    id: InstanceId
    labels: Mapping[str, str] = {}
    """Of its node, with the category."""
    is_set_aside: bool = False
    """Its node is cordoned."""


class TalkChoice(Struct, frozen=True, kw_only=True):
    """Which actors are meant. What is given must all hold; nothing means every actor."""

    services: Sequence[str] = ()
    """Names or patterns with `*`."""
    nodes: Sequence[str] = ()
    labels: Mapping[str, str] = {}


def choose(speakers: Sequence[Speaker], choice: TalkChoice) -> list[Speaker]:
    """The actors that are meant. Those of cordoned nodes are left out unless the node is named in full.

    NotFound: a name that no actor has, or no actor at all. Conflict: all are left out.
    """
    for what, names, patterns in (
        ("service", {one.id.service for one in speakers}, choice.services),
        ("node", {one.id.node for one in speakers}, choice.nodes),
    ):
        for pattern in patterns:
            if not any(fnmatchcase(name, pattern) for name in names):
                raise NotFound(
                    f"no actor has the {what} {pattern}",
                    source="fleet",
                    suggestion=f"choose from {', '.join(sorted(names))}" if names else "see: actor in the reference",
                )
    meant = [one for one in speakers if _is_meant(one, choice)]
    if not meant:
        raise NotFound(
            "no actor is meant by this" if speakers else "no service speaks the actor protocol",
            source="fleet",
            suggestion="give names, labels or a category of nodes" if speakers else "give a service the key actor",
        )
    chosen = [one for one in meant if not one.is_set_aside or one.id.node in choice.nodes]
    if not chosen:
        raise Conflict(
            f"{', '.join(sorted({one.id.node for one in meant}))}: set aside",
            source="fleet",
            code="set_aside",
            suggestion="uncordon the node, or name it in full",
        )
    return chosen


def _is_meant(one: Speaker, choice: TalkChoice) -> bool:
    return (
        (not choice.services or any(fnmatchcase(one.id.service, pattern) for pattern in choice.services))
        and (not choice.nodes or any(fnmatchcase(one.id.node, pattern) for pattern in choice.nodes))
        and all(one.labels.get(name, "") == value for name, value in choice.labels.items())
    )


def labels_of(words: Sequence[str]) -> dict[str, str]:
    """`site=APO` as labels. OutOfRange where a word is none."""
    found: dict[str, str] = {}
    for word in words:
        name, mark, value = word.partition("=")
        if not mark or not name.strip():
            raise OutOfRange(f"{word!r} is no label", source="fleet", suggestion="write it as site=APO")
        found[name.strip()] = value.strip()
    return found


def is_done(policy: TalkPolicy, actors: Sequence[TalkActor]) -> bool:
    """Whether a talk that is over has succeeded."""
    done = sum(one.outcome is TalkOutcome.DONE for one in actors)
    if policy is TalkPolicy.ANY:
        return done > 0
    return 2 * done > len(actors) if policy is TalkPolicy.MAJORITY else done == len(actors)


def failure(state: TalkState) -> Cause | None:
    """Why a talk that is over failed; None: it is done."""
    if is_done(state.policy, state.actors):
        return None
    bad = [one for one in state.actors if one.outcome is not TalkOutcome.DONE]
    if any(one.outcome is TalkOutcome.STOPPED for one in bad):
        return Cause(
            code="talk_stopped",
            message=f"{state.stopped_by} stopped it: what became of the command is not known of "
            + _some([one.node for one in bad if one.outcome is TalkOutcome.STOPPED]),
            source="fleet",
            suggestion="look at the actors, then decide again",
        )
    wanted = {TalkPolicy.ALL: "all", TalkPolicy.MAJORITY: "more than half", TalkPolicy.ANY: "one"}[state.policy]
    return Cause(
        code="talk_failed",
        message=f"{len(bad)} of {len(state.actors)} actors did not do it, and {wanted} had to: "
        + _some([f"{one.node} {one.outcome}" for one in bad]),
        source="fleet",
        suggestion=f"see: countingroom fleet talks {state.id}",
        causes=tuple(structs.replace(one.cause, source=str(_id(one))) for one in bad[:10] if one.cause),
    )


def _some(words: Sequence[str]) -> str:
    return ", ".join(words[:10]) + (" …" if len(words) > 10 else "")


def file_names(keywords: Mapping[str, KeywordValue]) -> Iterator[str]:
    """The files of a reply with the keyword `filename`: a name, a list that ends with it, or an object that has it."""
    value = keywords.get("filename")
    if isinstance(value, Mapping):
        value = value.get("filename")  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    if isinstance(value, list | tuple) and value:
        value = value[-1]  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, str) and value:
        yield value


def talk_key(id: str) -> str:
    """Key in `state` of a talk."""
    return f"talk.{id if is_token(id) else hashlib.blake2b(id.encode(), digest_size=16).hexdigest()}"


def _id(one: TalkActor) -> InstanceId:
    return InstanceId(one.service, one.node, one.index)
