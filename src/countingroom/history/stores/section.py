"""The section `history.stores`: further stores that get all samples, each of one kind."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from countingroom.core.yaml.section import Seconds, Section
from countingroom.history.stores.influxdb_section import InfluxSection
from countingroom.history.stores.postgresql_section import PostgresqlSection
from countingroom.history.stores.victoriametrics_section import VictoriaMetricsSection


class StoreSection(Section):
    """A store. It has the settings of one kind."""

    influxdb: InfluxSection | None = None
    postgresql: PostgresqlSection | None = None
    victoriametrics: VictoriaMetricsSection | None = None
    timeout: Annotated[Seconds, Field(ge=1, le=600)] = 30.0
    """A call to the store that takes longer has failed, and is tried again."""

    @classmethod
    def kinds(cls) -> tuple[str, ...]:
        """The keys of which a store has one."""
        return tuple(name for name in cls.model_fields if name not in _OF_EACH)

    @property
    def kind(self) -> str:
        """Which of them this store has."""
        return next(kind for kind in self.kinds() if getattr(self, kind) is not None)

    @property
    def has_tracker_layout(self) -> bool:
        """Whether it is written in the layout of the tracker DCS too."""
        return self.influxdb is not None and self.influxdb.layout == "tracker"

    @property
    def settings(self) -> Section:
        """The settings of its kind."""
        return getattr(self, self.kind)

    @model_validator(mode="after")
    def _one_kind(self) -> StoreSection:
        given = [kind for kind in self.kinds() if getattr(self, kind) is not None]
        if len(given) != 1:
            raise ValueError(f"a store has one of {', '.join(self.kinds())}; this has {' and '.join(given) or 'none'}")
        return self


_OF_EACH = ("timeout",)
