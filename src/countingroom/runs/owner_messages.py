"""Messages to the owner of a partition that are no commands, and the time in which they are answered."""

from __future__ import annotations

from msgspec import Struct

ANSWER_S = 2.0
"""An agent answers at once; one that has not by then does not."""


class Hold(Struct, frozen=True, kw_only=True, tag=True):
    """To the owner of a partition: take no commands until released, or until then."""

    id: str
    until_ns: int
    force: bool = False
    """Also while it is configuring or recording."""


class Release(Struct, frozen=True, kw_only=True, tag=True):
    """Look anew who is a member, and go on."""

    id: str


Notice = Hold | Release
