"""Settings of a PostgreSQL server that gets all samples."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from countingroom.core.yaml.secret_reference import SecretReference
from countingroom.core.yaml.section import Section

_ADDRESS = re.compile(r"postgresql://(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:(?P<port>\d{1,5}))?/(?P<db>[\w.-]+)")
_LOCAL = ("localhost", "127.0.0.1", "::1")
_PORT = 5432


def _address(value: str) -> str:
    found = _ADDRESS.fullmatch(value)
    if not found or not 0 < int(found["port"] or _PORT) < 65536:
        raise ValueError(
            "an address is postgresql://host:5432/database, without a user or a password; they have keys of their own"
        )
    return value


class PostgresqlSection(Section):
    """A database of a PostgreSQL server, version 12 or later."""

    address: Annotated[str, AfterValidator(_address)]
    """`postgresql://host:5432/database`."""
    user: str = Field(min_length=1)
    password: SecretReference | None = None
    """Without it the server must accept the user by other means."""
    schema_: Annotated[str, Field(alias="schema", pattern=r"^[a-z_][a-z0-9_]{0,62}$")] = "countingroom"
    """The tables are in this schema. It is made where it does not exist."""
    index: Literal["point", "time"] = "point"
    """`point`: by point and time, so that one point is found at once. `time`: by time alone, which takes several times
    as many values a second; a question then reads the samples of all points in its time."""
    encryption: Literal["verified", "unverified", "none"] | None = None
    """`verified`: the certificate of the server is checked. `unverified`: it is not. Where it is not given: `none` for
    a server of this machine, `verified` for every other."""
    tls_ca: Path | None = None
    """File of the authority that signed the certificate of the server; those of the system where it is not given."""

    @property
    def host(self) -> str:
        """The server."""
        return self._part("host").strip("[]")

    @property
    def port(self) -> int:
        """Its port."""
        return int(self._part("port") or _PORT)

    @property
    def database(self) -> str:
        """The database."""
        return self._part("db")

    @property
    def used_encryption(self) -> str:
        """The encryption where none is given, too."""
        return self.encryption or ("none" if self.host in _LOCAL else "verified")

    def _part(self, name: str) -> str:
        found = _ADDRESS.fullmatch(self.address)
        return (found[name] or "") if found else ""

    @model_validator(mode="after")
    def _is_safe(self) -> PostgresqlSection:
        if self.used_encryption == "none" and self.password and self.host not in _LOCAL:
            raise ValueError("the password would be sent over the network without encryption; use verified")
        if self.tls_ca and self.used_encryption != "verified":
            raise ValueError("tls_ca has no effect without encryption: verified")
        return self
