"""Asks a registry of images whether it has one: its digest, and the platforms that it is made for.

As an engine does: TLS, except where the description says `insecure` or the registry is on this computer; a login where
the registry wants one, by password or by token. Only the description of an image is read, never its layers.
"""

from __future__ import annotations

import re
import ssl
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from countingroom.core.clock import timeout
from countingroom.core.errors import ConfigurationError, CountingRoomError, DeviceError, LinkError, NotFound
from countingroom.core.fleet.images import image_place
from countingroom.core.fleet.specs import RegistryLogin
from countingroom.core.yaml.secret_reference import SecretReference
from countingroom.fleet.os_words import os_words

if TYPE_CHECKING:
    import aiohttp

_ALL_S = 12.0
"""For all that is asked about one image."""
_MOST_BYTES = 4 << 20
_ACCEPT = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)
_HERE = re.compile(r"(?:localhost|127\.[0-9.]+|\[::1\])(?::\d+)?")
_HOSTS = {"docker.io": "registry-1.docker.io"}
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')


class FoundImage(Struct, frozen=True, kw_only=True):
    """What a registry says of an image."""

    digest: str
    platforms: tuple[str, ...]
    """`linux/amd64`; empty: it does not say."""
    is_secure: bool


async def find_image(image: str, registry: RegistryLogin | None, directory: Path) -> FoundImage:
    """`registry`: what the description says of it. `directory`: of the description, for files.

    NotFound where there is no such image, LinkError where the registry does not answer, ConfigurationError where it
    refuses the login or its certificate is not trusted."""
    import aiohttp

    host, name, reference = image_place(image)
    source = f"registry.{host}"
    # As an engine does: a registry of this computer needs no TLS, and its certificate is not looked at.
    is_lax = bool(registry and registry.insecure) or _HERE.fullmatch(host) is not None
    is_lax = is_lax and not (registry and registry.ca)
    try:
        async with timeout(_ALL_S):
            for scheme in ("https", "http") if is_lax else ("https",):
                asked = _Asked(
                    f"{scheme}://{_HOSTS.get(host, host)}/v2/{name}", registry, directory, source, is_lax=is_lax
                )
                try:
                    async with asked:
                        return await asked.find(reference)
                except (aiohttp.ClientConnectorError, aiohttp.ServerDisconnectedError, ssl.SSLError):
                    if scheme == "http" or not is_lax:
                        raise
    except TimeoutError:
        raise _no_answer(host, source, f"no answer within {_ALL_S:g} s") from None
    except aiohttp.ClientConnectorCertificateError as error:
        raise ConfigurationError(
            f"the certificate of {host} is not trusted: {error.certificate_error}",
            source=source,
            code="certificate",
            suggestion="give `ca` of this registry, the authority that signed it",
        ) from error
    except (aiohttp.ClientError, OSError) as error:
        raise _no_answer(host, source, _words(error)) from error
    raise _no_answer(host, source, "it was not asked")


def _words(error: Exception) -> str:
    """Why it was not reached, without the number of the error."""
    inner = getattr(error, "os_error", error)
    return os_words(inner) if isinstance(inner, OSError) else str(error) or type(error).__name__


class _Asked:
    """One name of one registry, with its login."""

    def __init__(self, url: str, registry: RegistryLogin | None, directory: Path, source: str, *, is_lax: bool) -> None:
        """`is_lax`: without a look at its certificate."""
        self._url = url
        self._registry = registry
        self._directory = directory
        self._source = source
        self._is_lax = is_lax
        self._headers = {"Accept": _ACCEPT}
        self._http: aiohttp.ClientSession

    async def __aenter__(self) -> _Asked:
        import aiohttp

        context: ssl.SSLContext | bool = not self._is_lax
        if self._registry and self._registry.ca:
            try:
                context = ssl.create_default_context(cafile=str(self._directory / self._registry.ca))
            except (OSError, ssl.SSLError) as error:
                raise ConfigurationError(
                    f"{self._registry.ca} cannot be used: {getattr(error, 'strerror', None) or error}",
                    source=self._source,
                    code="certificate",
                    suggestion="check the file that `ca` of this registry names",
                ) from error
        self._http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.close()

    async def find(self, reference: str) -> FoundImage:
        """What there is under a tag or digest."""
        head, _ = await self._ask("HEAD", f"/manifests/{reference}")
        digest = head.get("Docker-Content-Digest", "")
        _, body = await self._ask("GET", f"/manifests/{digest or reference}")
        manifest = self._read(body)
        platforms: list[str] = []
        if listed := manifest.get("manifests"):
            platforms = [_platform(one.get("platform") or {}) for one in listed]
        elif "config" in manifest:
            _, body = await self._ask("GET", f"/blobs/{manifest['config'].get('digest')}")
            platforms = [_platform(self._read(body))]
        known = dict.fromkeys(one for one in platforms if one and "unknown" not in one)
        return FoundImage(digest=digest, platforms=tuple(known), is_secure=not self._is_lax)

    async def _ask(self, method: str, path: str, *, is_again: bool = False) -> tuple[Mapping[str, str], bytes]:
        async with self._http.request(method, self._url + path, headers=self._headers) as answer:
            if answer.status == 401 and not is_again:
                self._headers["Authorization"] = await self._login(answer.headers.get("WWW-Authenticate", ""))
                return await self._ask(method, path, is_again=True)
            if answer.status >= 400:
                raise await self._refusal(answer.status, path)
            return answer.headers, await answer.content.read(_MOST_BYTES)

    async def _login(self, challenge: str) -> str:
        basic = ""
        if self._registry and self._registry.user:
            kind, _, place = self._registry.password.partition(":")
            password = SecretReference.model_validate({kind: place}).read(self._source)
            basic = f"Basic {b64encode(f'{self._registry.user}:{password}'.encode()).decode()}"
        if not challenge.lower().startswith("bearer"):
            if not basic:
                raise self._no_login("it wants a login")
            return basic
        asked = dict(_CHALLENGE.findall(challenge))
        query = {key: asked[key] for key in ("service", "scope") if key in asked}
        headers = {"Authorization": basic} if basic else {}
        if not asked.get("realm", "").startswith("https://") and not self._is_lax:
            raise self._no_login("it wants the login without TLS")
        async with self._http.get(asked.get("realm", ""), params=query, headers=headers) as answer:
            if answer.status >= 400:
                raise self._no_login(f"it gives no token ({answer.status})")
            told = self._read(await answer.content.read(_MOST_BYTES))
        return f"Bearer {told.get('token') or told.get('access_token')}"

    async def _refusal(self, status: int, path: str) -> CountingRoomError:
        name = self._url.partition("/v2/")[2]
        if status in (401, 403):
            return self._no_login("it refuses the login" if "Authorization" in self._headers else "it wants a login")
        if status == 404:
            return NotFound(
                f"it has no {name} {path.rpartition('/')[2]}{await self._others()}",
                source=self._source,
                suggestion="push it there, or correct `image` of the service",
            )
        return DeviceError(
            f"it answers {status} for {name}",
            source=self._source,
            code="registry",
            suggestion="look at the log of the registry",
        )

    async def _others(self) -> str:
        """The tags that there are, for the error about a tag that is not there."""
        async with self._http.get(f"{self._url}/tags/list", headers=self._headers) as answer:
            told = self._read(await answer.content.read(_MOST_BYTES)) if answer.status < 400 else {}
        tags = sorted(map(str, told.get("tags") or ()), reverse=True)
        return f"; there is {', '.join(tags[:8])}{' …' if len(tags) > 8 else ''}" if tags else ""

    def _no_login(self, why: str) -> ConfigurationError:
        return ConfigurationError(
            why,
            source=self._source,
            code="registry_login",
            suggestion="give user and password of this registry in `registries` of the section fleet",
        )

    def _read(self, body: bytes) -> dict[str, Any]:
        try:
            return msgspec.json.decode(body, type=dict[str, Any])
        except msgspec.DecodeError as error:
            raise DeviceError(
                f"it does not answer as a registry: {error}",
                source=self._source,
                code="registry",
                suggestion="check the host and port in the name of the image",
            ) from error


def _platform(one: Mapping[str, Any]) -> str:
    words = (one.get("os"), one.get("architecture"), one.get("variant"))
    return "/".join(str(word) for word in words if word)


def _no_answer(host: str, source: str, why: str) -> LinkError:
    return LinkError(
        f"{host} does not answer: {why}",
        source=source,
        suggestion="check that the registry runs, and whether it has TLS (else `insecure: true` of this registry)",
    )
