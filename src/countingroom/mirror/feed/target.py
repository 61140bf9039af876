"""Where the feed goes: an outside receiver over HTTPS, or the public store itself where both are on one computer."""

from __future__ import annotations

import gzip
import ssl
from pathlib import Path
from typing import Protocol

import httpx
import msgspec

from countingroom.core.errors import ConfigurationError, LinkError
from countingroom.core.messages import Malformed
from countingroom.core.mirror.feed import PATH, FeedAnswer, FeedBatch, read_answer
from countingroom.core.yaml.secret_reference import SecretReference
from countingroom.mirror.http_exchange import AnswerTooLarge, exchange

SOURCE = "mirror.feed"
TIMEOUT_S = 20.0
_DENIED = (401, 403)
_OK = 200
UNKNOWN_KIND = 422
"""Status of the answer of a receiver that does not know a kind of record."""
REFUSED, REFUSED_KIND = "receiver_refused", "receiver_kind"
"""Codes of the errors where an outside has answered, and has not taken the batch; the second for a kind of record that
it does not know."""
_MOST_ANSWER = 65_536
"""Bytes: also the page that a proxy answers with is told."""


class FeedTarget(Protocol):
    """Takes batches, one at a time."""

    async def take(self, batch: FeedBatch) -> FeedAnswer:
        """Store it if it follows what is stored; the last sequence of its feed that is stored now. LinkError where that
        cannot be told: the batch may be stored or not."""
        ...

    async def close(self) -> None:
        """Free what it has."""
        ...


class HttpsTarget:
    """A receiver (`countingroom mirror receive`). Its certificate is verified, redirects are not followed, and of its
    answer nothing but one number is taken."""

    def __init__(
        self,
        url: str,
        token: SecretReference,
        tls_ca: Path | None = None,
        *,
        timeout_s: float = TIMEOUT_S,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """`tls_ca`: file of the authority of its certificate; None: those of the system. `timeout_s`: for a batch with
        its answer. `transport` stands in place of the network. ConfigurationError for files that cannot be read."""
        self.url = url.rstrip("/")
        self._timeout_s = timeout_s
        self._token = token
        token.read(SOURCE)  # now, so that the start is refused
        try:
            verify = ssl.create_default_context(cafile=tls_ca)
        except (OSError, ssl.SSLError) as error:
            raise ConfigurationError(
                f"the certificates of {tls_ca} cannot be read: {error}", source=SOURCE, code="certificates"
            ) from error
        self._client = httpx.AsyncClient(timeout=timeout_s, verify=verify, trust_env=False, transport=transport)

    async def take(self, batch: FeedBatch) -> FeedAnswer:
        body = gzip.compress(msgspec.json.encode(batch), 1)
        headers = {
            # Read each time: a token that was renewed needs no restart.
            "Authorization": f"Bearer {self._token.read(SOURCE)}",
            "Content-Type": "application/json",
            "Content-Encoding": "gzip",
        }
        try:
            status, answer = await exchange(
                self._client,
                "POST",
                f"{self.url}{PATH}",
                within_s=self._timeout_s,
                most_bytes=_MOST_ANSWER,
                content=body,
                headers=headers,
            )
        except AnswerTooLarge as error:
            raise self._error(REFUSED, f"answers with more than {_MOST_ANSWER} bytes") from error
        except (httpx.HTTPError, OSError) as error:
            is_late = isinstance(error, TimeoutError | httpx.TimeoutException)
            said = "it did not answer in time" if is_late else str(error)
            raise self._error("receiver_unreachable", f"is not reached: {said or type(error).__name__}") from error
        if status in _DENIED:
            raise self._error("receiver_denied", "refuses the token", "give both sides the same token")
        if status != _OK:
            words = " ".join(answer[:200].decode(errors="replace").split())
            code = REFUSED_KIND if status == UNKNOWN_KIND else REFUSED
            raise self._error(code, f"does not take a batch: {status} {words}")
        try:
            return read_answer(answer)
        except Malformed as error:
            raise self._error(REFUSED, f"answers what is no answer: {error}") from error

    async def close(self) -> None:
        await self._client.aclose()

    def _error(self, code: str, said: str, suggestion: str = "") -> LinkError:
        return LinkError(
            f"the receiver of the feed at {self.url} {said}",
            source=SOURCE,
            code=code,
            suggestion=suggestion
            or "see that it runs, and that address, network and certificate are right; it is tried again",
        )
