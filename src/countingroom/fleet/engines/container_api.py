"""The connection to a container engine: how it is reached, deadlines, and the errors of it as errors of the fleet."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from countingroom.core.clock import Clock, timeout
from countingroom.core.errors import ConfigurationError, CountingRoomError, DeviceError, LinkError, NotFound
from countingroom.core.fleet.specs import Reach
from countingroom.fleet.os_words import os_words

if TYPE_CHECKING:
    from aiodocker import Docker

CALL_S = 15.0
"""For a call that the engine answers from what it knows."""
_UNREACHED = 900
"""The status that aiodocker gives where it was not connected."""
_AHEAD_S = 2
"""A smaller difference of clocks is left alone: the engine tells whole seconds."""


class PingFacts(Struct, frozen=True, kw_only=True):
    """What an engine tells of itself when it is reached."""

    name: str
    """`Docker 20.10.24`, `Podman 4.3.1`."""
    is_podman: bool
    ahead_ns: int
    """By how much the clock of its node is ahead of ours."""


async def ping(docker: Any, clock: Clock) -> PingFacts:
    """Reach an engine, and speak its version of the API from now on. Asking for the version instead would take Podman a
    second, as it looks through the packages of its node."""
    async with docker._query("_ping", versioned_api=False) as answer:
        head = answer.headers
        now_s = clock.now_ns() / 1e9
    if version := head.get("Api-Version"):
        docker.api_version = f"v{version}"
    ahead_s = round(parsedate_to_datetime(head["Date"]).timestamp() - now_s) if "Date" in head else 0
    name = head.get("Server", "").partition(" ")[0].replace("Libpod/", "Podman ").replace("/", " ")
    return PingFacts(
        name=name or "Docker",
        is_podman="Libpod-Api-Version" in head,
        ahead_ns=ahead_s * 1_000_000_000 if abs(ahead_s) > _AHEAD_S else 0,
    )


async def open_engine(reach: Reach, directory: Path, source: str) -> Docker:
    """A client; nothing is sent yet. `directory`: of the description, for files. ConfigurationError where a certificate
    cannot be used."""
    # Imported with the first node that has containers: 0.3 s and 12 MB.
    import aiohttp

    from countingroom.fleet.engines.engine_client import EngineClient

    # Every call has a deadline of its own (`answering`); this one is for the connection alone.
    deadline = aiohttp.ClientTimeout(total=None, sock_connect=5.0)
    if reach.url.startswith("unix://"):
        return EngineClient(url=reach.url, timeout=deadline, api_version="auto")
    if not reach.ca:
        if not reach.insecure:
            raise ConfigurationError(
                f"{reach.url} has no TLS: every computer of that network can administer the node",
                source=source,
                suggestion="give it tls, or say insecure: true where the network is yours alone",
                code="insecure",
            )
        return EngineClient(url=reach.url.replace("tcp://", "http://", 1), timeout=deadline)
    context = await asyncio.to_thread(_context, reach, directory, source)
    return EngineClient(url=reach.url.replace("tcp://", "https://", 1), timeout=deadline, ssl_context=context)


def _context(reach: Reach, directory: Path, source: str) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=str(directory / reach.ca))
        context.load_cert_chain(str(directory / reach.certificate), str(directory / reach.key))
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"the certificates for {reach.url} cannot be used: {error.strerror or error}",
            source=source,
            suggestion="check the files that tls of the node names",
            code="certificate",
        ) from error
    return context


@asynccontextmanager
async def answering(source: str, what: str, seconds: float | None = CALL_S) -> AsyncGenerator[None]:
    """A deadline around calls, and their errors as ours: LinkError where there is no answer, NotFound, DeviceError.
    `what`: of the sentence, `camera@n1 could not be made`."""
    import aiohttp
    from aiodocker import DockerError

    try:
        async with timeout(seconds):
            yield
    except CountingRoomError:
        raise
    except TimeoutError:
        limit = f" within {seconds:g} s" if seconds else " in time"
        raise LinkError(f"{what}: no answer{limit}", source=source, code="timeout") from None
    except DockerError as error:
        said = _reason(error.__context__) if error.status == _UNREACHED else error.message
        raise _translated(error.status, said, source, what) from error
    except (aiohttp.ClientError, OSError, asyncio.IncompleteReadError) as error:
        raise LinkError(f"{what}: {_reason(error)}", source=source) from error


async def remove_container(container: Any) -> None:
    """Remove a container, running or not. Where that was ordered before, as by a keeper that was killed, the end of
    it is waited for: until then its name is taken."""
    from aiodocker import DockerError

    try:
        await container.delete(force=True, v=True)
    except DockerError as error:
        if "already in progress" not in error.message:
            raise
        await container.wait(condition="removed")


def _reason(error: BaseException | None) -> str:
    """Why there is no connection, without the text of the library around it."""
    inner = getattr(error, "certificate_error", None) or getattr(error, "os_error", None) or error
    return os_words(inner) if isinstance(inner, OSError) else str(inner or type(error).__name__)


def _translated(status: int, message: str, source: str, what: str) -> CountingRoomError:
    said = " ".join(message.split())
    if status == _UNREACHED:
        return LinkError(
            f"{what}: {said}",
            source=source,
            suggestion="check that the engine runs, and url and tls of the node",
        )
    if status == 404 and "no such container" in said.lower():
        return NotFound(f"{what}: {said}", source=source, suggestion="list what there is: countingroom fleet status")
    return DeviceError(
        f"{what}: {said}", source=source, code="engine", suggestion="look at the log of the engine on the node"
    )
