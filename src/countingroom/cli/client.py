"""HTTP client of the public API for the commands. A refusal of the server is raised with its Cause, unchanged."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, Self

import msgspec
import typer

from countingroom.cli.output import print_json
from countingroom.cli.running import DEFAULT_URL, when_not_given
from countingroom.core.errors import Cause, ConfigurationError, LinkError, Refused
from countingroom.core.plain_text import readable

URL_VARIABLE = "COUNTINGROOM_URL"
TOKEN_VARIABLE = "COUNTINGROOM_TOKEN"  # noqa: S105 - names, not secrets
TOKEN_FILE_VARIABLE = "COUNTINGROOM_TOKEN_FILE"  # noqa: S105
TIMEOUT_S = 30.0

Url = Annotated[
    str,
    typer.Option(
        "--url",
        envvar=URL_VARIABLE,
        help="Where the console is; that of the experiment that runs here, or the default.",
        show_default=True,
        callback=when_not_given,
    ),
]
"""Option of every command that uses a server. Its default is the console that runs here, else DEFAULT_URL."""


class Remote(Refused):
    """The server refused the request or failed; carries the Cause of its answer."""


class Client:
    """The API at one address. A context manager; its methods raise Remote or LinkError and no other error."""

    def __init__(self, url: str, *, timeout_s: float = TIMEOUT_S) -> None:
        import httpx

        self.url = url.rstrip("/")
        self._errors = httpx.HTTPError
        headers = {"User-Agent": "countingroom-cli", **authorization()}
        try:
            self._http = httpx.Client(base_url=self.url, timeout=timeout_s, headers=headers)
        except httpx.InvalidURL as error:
            raise ConfigurationError(
                f"{url!r} is not an address: {error}", source="--url", suggestion=f"write it as {DEFAULT_URL}"
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def get(self, path: str, **parameters: Any) -> Any:
        """A resource as plain values, to be shown: a terminal would act on some characters of texts. A parameter that
        is None is left out."""
        return readable(self.exact(path, **parameters))

    def exact(self, path: str, **parameters: Any) -> Any:
        """The same with every text as it is, to be written to a file."""
        given = {name: value for name, value in parameters.items() if value is not None}
        return self._ask("GET", path, params=given)

    def download(self, path: str, **parameters: Any) -> bytes:
        """A resource that is not JSON, as bytes."""
        given = {name: value for name, value in parameters.items() if value is not None}
        response = self._send("GET", path, params=given)
        if response.is_success:
            return response.content
        raise Remote(_cause(readable(_decoded(response.content)), f"{self.url} answered {response.status_code}"))

    def post(self, path: str, body: Any, *, timeout_s: float = TIMEOUT_S) -> Any:
        """Send a POST request and return the decoded answer."""
        return readable(self._ask("POST", path, json=body, timeout=timeout_s))

    def _ask(self, method: str, path: str, **how: Any) -> Any:
        response = self._send(method, path, **how)
        try:
            answer: Any = msgspec.json.decode(response.content) if response.content else None
        except msgspec.DecodeError as error:
            raise LinkError(
                f"{self.url} answers, but not as a countingroom console", source=self.url, suggestion="see --url"
            ) from error
        if response.is_success:
            return answer
        raise Remote(_cause(readable(answer), f"{self.url} answered {response.status_code}"))

    def _send(self, method: str, path: str, **how: Any) -> Any:
        try:
            return self._http.request(method, path, **how)
        except self._errors as error:
            raise not_running(self.url, str(error)) from error


def fetch(url: str, path: str, json: bool, /, **parameters: Any) -> Any:
    """A resource as plain values. With `json` it is printed instead, and the command ends here."""
    with Client(url) as api:
        found = api.exact(path, **parameters)
    if json:
        print_json(found)
        raise typer.Exit
    return readable(found)


def authorization() -> dict[str, str]:
    """The Authorization header with the user's token, from the environment or a file; empty without a token."""
    token = os.environ.get(TOKEN_VARIABLE, "")
    if name := os.environ.get(TOKEN_FILE_VARIABLE, ""):
        try:
            token = Path(name).read_text().strip()
        except OSError as error:
            raise ConfigurationError(
                f"the token cannot be read from {name}: {error.strerror}",
                source=TOKEN_FILE_VARIABLE,
                suggestion="make one with: countingroom user token EXPERIMENT.yaml NAME",
            ) from error
    return {"Authorization": f"Bearer {token}"} if token else {}


def not_running(url: str, why: str) -> LinkError:
    """The error for an address where no server answers."""
    hint = "" if os.environ.get(URL_VARIABLE) else f" (another address: --url or {URL_VARIABLE})"
    return LinkError(
        f"no countingroom console answers at {url}: {why}",
        source="cli",
        suggestion=f"start it with: countingroom up EXPERIMENT.yaml{hint}",
        code="unreachable",
    )


def _decoded(content: bytes) -> Any:
    try:
        return msgspec.json.decode(content)
    except msgspec.DecodeError:
        return None


def _cause(answer: Any, otherwise: str) -> Cause:
    try:
        return msgspec.convert(answer["cause"], Cause)
    except (msgspec.ValidationError, KeyError, TypeError):
        return Cause(code="refused", message=otherwise, suggestion="see --url")
