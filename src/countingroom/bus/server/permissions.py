"""Computes the permissions of a user on a NATS server from its grants. Whatever is not allowed is refused."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from countingroom.core.bus_grants import BusGrants
from countingroom.core.subjects import LEASE_BUCKET, POSITIONS_BUCKET, STATE_BUCKET

_API = "$JS.API"


class BusUser(Struct, frozen=True, kw_only=True):
    """A user with the subjects on which it may publish and subscribe."""

    name: str
    publish: tuple[str, ...]
    subscribe: tuple[str, ...]

    def permissions(self) -> dict[str, Any]:
        """In the form of the server's configuration."""
        return {"publish": {"allow": list(self.publish)}, "subscribe": {"allow": list(self.subscribe)}}


def granted(name: str, grants: BusGrants) -> BusUser:
    """The user with these grants."""
    publish = [*grants.sends, *grants.stores, *_reading(f"KV_{STATE_BUCKET}")]
    for stream in grants.reads:
        publish += _reading(stream)
    for key in grants.states:
        publish += [f"$KV.{STATE_BUCKET}.{key}", f"$KV.{STATE_BUCKET}.{key}.>"]
    if grants.leases:
        publish += [*_bucket(LEASE_BUCKET), *(f"$KV.{LEASE_BUCKET}.{lease}" for lease in grants.leases)]
    if grants.positions:
        publish += [*_bucket(POSITIONS_BUCKET), f"{_API}.STREAM.UPDATE.KV_{POSITIONS_BUCKET}"]
        publish += [f"$KV.{POSITIONS_BUCKET}.>"]
    # Answers go to the inbox of the sender, whose name no other process knows. A client also sends to its own inbox, to
    # learn that the server has processed what went before.
    publish.append("_INBOX.>" if grants.answers else f"_INBOX.{name}.>")
    subscribe = [f"_INBOX.{name}.>", *grants.answers, *grants.hears]
    return BusUser(name=name, publish=_once(publish), subscribe=_once(subscribe))


def _reading(stream: str) -> list[str]:
    return [
        f"{_API}.STREAM.INFO.{stream}",
        f"{_API}.STREAM.MSG.GET.{stream}",
        f"{_API}.CONSUMER.CREATE.{stream}.*.>",
        f"{_API}.CONSUMER.INFO.{stream}.*",
        f"{_API}.CONSUMER.MSG.NEXT.{stream}.*",
    ]


def _bucket(name: str) -> list[str]:
    """To read a bucket, and to make it where it does not exist."""
    return [*_reading(f"KV_{name}"), f"{_API}.STREAM.CREATE.KV_{name}"]


def _once(subjects: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(subjects))
