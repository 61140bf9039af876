"""The section of a store that is a VictoriaMetrics."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from countingroom.core.yaml.secret_reference import SecretReference
from countingroom.core.yaml.section import Name, Section
from countingroom.history.stores.influxdb_section import WebAddress


class VictoriaMetricsSection(Section):
    """A VictoriaMetrics of one node. How long it keeps its data is its own setting, `-retentionPeriod`."""

    url: WebAddress = "http://127.0.0.1:8428"
    prefix: Annotated[Name, Field(pattern=r"^[a-z][a-z0-9_]*$")] = "countingroom"
    """First part of the names of its metrics: `countingroom_value`. Two experiments on one server need two."""
    most_texts: Annotated[int, Field(ge=0, le=10_000)] = 100
    """Different texts of a point that are kept, each as a series of its own. Further ones are left out. 0: no texts."""
    user: str = ""
    password: SecretReference | None = None
    token: SecretReference | None = None
    """A bearer token, for a proxy in front of the server."""
    tls_ca: Path | None = None
    """File of the authority that signed the certificate of the server."""
    compress: bool | None = None
    """Whether bodies are compressed. Not given: where the server is another machine."""

    @model_validator(mode="after")
    def _one_login(self) -> Self:
        if bool(self.user) != bool(self.password):
            raise ValueError("give user and password, or neither")
        if self.user and self.token:
            raise ValueError("give user and password, or a token")
        return self
