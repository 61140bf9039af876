"""A secret of the description by reference: a file or an environment variable, read when it is needed and never kept.

The description is read by many people, is stored with its history and is shown by the console; the secret itself
stands in none of them.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pydantic import model_validator

from countingroom.core.errors import ConfigurationError
from countingroom.core.yaml.section import Section

_MOST_CHARACTERS = 10_000


class SecretReference(Section):
    """Where a secret is: `{ file: /etc/countingroom/pager }` or `{ env: PAGER_SECRET }`."""

    file: Path | None = None
    """A file whose first line is the secret."""
    env: str = ""
    """The environment variable with the secret."""

    @model_validator(mode="before")
    @classmethod
    def _not_the_secret(cls, given: Any) -> Any:
        if isinstance(given, str):  # it is not repeated; pydantic takes no TypeError
            raise ValueError("a secret does not stand here: write { env: NAME } or { file: PATH }")  # noqa: TRY004
        return given

    @model_validator(mode="after")
    def _one_place(self) -> SecretReference:
        if (self.file is None) == (not self.env):
            raise ValueError("give file or env, one of both")
        return self

    def read(self, source: str) -> str:
        """The secret; ConfigurationError where it cannot be read or is empty. `source`: for the error."""
        place = f"the file {self.file}" if self.file else f"the environment variable {self.env}"
        try:
            found = self.file.read_text()[:_MOST_CHARACTERS] if self.file else os.environ.get(self.env, "")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is no text"
            raise ConfigurationError(
                f"a secret cannot be read from {place}: {reason}",
                source=source,
                code="no_secret",
                suggestion="write it there, readable for the user of this process alone",
            ) from error
        if secret := found.partition("\n")[0].strip():
            return secret
        raise ConfigurationError(
            f"{place} holds no secret", source=source, code="no_secret", suggestion="write the secret there"
        )


def revealed(value: str | SecretReference, source: str) -> str:
    """A text that may be given by reference; ConfigurationError where it cannot be read."""
    return value if isinstance(value, str) else value.read(source)
