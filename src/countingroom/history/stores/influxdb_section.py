"""The section of a store that is an InfluxDB."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from countingroom.core.yaml.secret_reference import SecretReference
from countingroom.core.yaml.section import Seconds, Section

WebAddress = Annotated[str, Field(pattern=r"^https?://[^\s/@]+(/\S*)?$")]
"""`http://host:port`, without a login."""


class InfluxSection(Section):
    """An InfluxDB: of version 1 with `database`, of version 2 with `bucket`, `org` and `token`."""

    url: WebAddress = "http://127.0.0.1:8086"
    database: str = ""
    """Version 1: the database. It is made where it does not exist."""
    retention: Annotated[Seconds, Field(ge=3600)] | None = None
    """Version 1: how long a database that is made here keeps its data. Without it: for ever. The setting of a database
    that exists is left as it is."""
    user: str = ""
    password: SecretReference | None = None
    bucket: str = ""
    """Version 2: the bucket. It must exist."""
    org: str = ""
    """Version 2: the organisation."""
    token: SecretReference | None = None
    """Version 2: an API token that may read and write the bucket."""
    layout: Literal["points", "tracker"] = "points"
    """tracker: beside `readings` the measurements of the tracker DCS are written too (channels, chiller, MARTA,
    sensors), so that its dashboards keep drawing."""
    tls_ca: Path | None = None
    """File of the authority that signed the certificate of the server."""
    compress: bool | None = None
    """Whether bodies are compressed. Not given: where the server is another machine."""

    @model_validator(mode="after")
    def _one_version(self) -> Self:
        if bool(self.database) == bool(self.bucket):
            raise ValueError("give `database` (version 1) or `bucket` with `org` and `token` (version 2)")
        if self.bucket and not (self.org and self.token):
            raise ValueError("a bucket needs `org` and `token`")
        if self.database and (self.org or self.token):
            raise ValueError("`org` and `token` are for `bucket`; a database takes `user` and `password`")
        if bool(self.user) != bool(self.password):
            raise ValueError("give user and password, or neither")
        return self
