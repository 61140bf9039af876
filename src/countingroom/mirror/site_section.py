"""The part `site` of the section `mirror`: the public site as a process of `countingroom up`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field

from countingroom.core.yaml.secret_reference import SecretReference
from countingroom.core.yaml.section import Section


class SiteSection(Section):
    """The public site beside the experiment. Where it is left out, `countingroom mirror site` serves it, here or on
    another computer."""

    host: str = "127.0.0.1"
    """Address to listen at; `0.0.0.0` for all."""
    port: Annotated[int, Field(ge=1, le=65535)] = 8090
    title: Annotated[str, Field(max_length=100)] = "Experiment"
    """What stands at the head of its pages: the name of the experiment, as it is shown outside."""
    url: str = ""
    """Its public address: `https://status.example.org/dqm`."""
    behind_proxy: bool = False
    """A proxy is before it: connections of one address are not limited."""
    secret: SecretReference | None = None
    """Where the URL of the public store stands that the site uses: with a user of the database that may only read.
    Without it the site has the URL of `store`."""

    @property
    def address(self) -> str:
        """The public address without its last slash."""
        return self.url.rstrip("/")

    @property
    def prefix(self) -> str:
        """The path below which its pages are, without its last slash."""
        return urlsplit(self.address).path

    def problems(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """What does not fit together, with its place."""
        if self.url and not self.url.startswith(("http://", "https://")):
            yield ("url",), "it is an address: https://HOST/PATH"
