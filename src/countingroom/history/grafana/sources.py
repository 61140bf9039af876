"""Data sources of Grafana for the further stores of the history, and the questions to each kind. Pure.

Secrets are not in the files: Grafana reads them from environment variables when it starts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Protocol
from urllib.parse import urlsplit

from countingroom.history.stores.influxdb_section import InfluxSection
from countingroom.history.stores.line_protocol import READINGS
from countingroom.history.stores.postgresql_section import PostgresqlSection
from countingroom.history.stores.victoriametrics_section import VictoriaMetricsSection

Json = dict[str, Any]
_POSTGRES_PORT = 5432


class DataSource(Protocol):
    """A data source and its language."""

    @property
    def reference(self) -> Json:
        """What panels have in `datasource`."""
        ...

    def provisioned(self) -> Json:
        """The entry of the provisioning file."""
        ...

    def numbers(self, device: str, points: Sequence[str]) -> Json:
        """The target that reads points as one series each, reduced to the width of the panel."""
        ...

    def words(self, device: str, points: Sequence[str], *, is_text: bool) -> Json:
        """The target that reads the last value of each interval."""
        ...

    def series(self, device: str, point: str) -> str:
        """The name of a series of `numbers`, by which a panel finds it."""
        ...


class InfluxSource:
    """In InfluxQL; version 2 through its address for clients of version 1."""

    def __init__(self, store: str, section: InfluxSection) -> None:
        self._store = store
        self._section = section

    @property
    def reference(self) -> Json:
        return {"type": "influxdb", "uid": uid(self._store)}

    def provisioned(self) -> Json:
        section = self._section
        json: Json = {"dbName": section.database or section.bucket, "httpMode": "POST", "version": "InfluxQL"}
        secure: Json = {}
        if section.token:
            json["httpHeaderName1"] = "Authorization"
            secure["httpHeaderValue1"] = f"Token {secret(self._store, 'TOKEN')}"
        if section.password:
            secure["password"] = secret(self._store, "PASSWORD")
        return _provisioned(self._store, self.reference, section.url, json, secure, user=section.user)

    def numbers(self, device: str, points: Sequence[str]) -> Json:
        return self._target('mean("value")', device, points)

    def words(self, device: str, points: Sequence[str], *, is_text: bool) -> Json:
        return self._target('last("text")' if is_text else 'last("value")', device, points)

    def series(self, device: str, point: str) -> str:
        return point

    def _target(self, what: str, device: str, points: Sequence[str]) -> Json:
        chosen = "|".join(re.escape(point).replace("/", "\\/") for point in points)
        name = device.replace("'", "\\'")
        return {
            "refId": "A",
            "datasource": self.reference,
            "rawQuery": True,
            "query": f'SELECT {what} FROM "{READINGS}" WHERE "device" = \'{name}\' AND "point" =~ /^({chosen})$/ '  # noqa: S608
            'AND $timeFilter GROUP BY time($__interval), "point" fill(none)',
            "alias": "$tag_point",
            "resultFormat": "time_series",
        }


class VictoriaMetricsSource:
    """As a Prometheus, in MetricsQL."""

    def __init__(self, store: str, section: VictoriaMetricsSection) -> None:
        self._store = store
        self._section = section

    @property
    def reference(self) -> Json:
        return {"type": "prometheus", "uid": uid(self._store)}

    def provisioned(self) -> Json:
        section = self._section
        json: Json = {"httpMethod": "POST", "timeInterval": "1s"}
        secure: Json = {}
        if section.token:
            json["httpHeaderName1"] = "Authorization"
            secure["httpHeaderValue1"] = f"Bearer {secret(self._store, 'TOKEN')}"
        if section.password:
            json_user = {"basicAuth": True, "basicAuthUser": section.user}
            secure["basicAuthPassword"] = secret(self._store, "PASSWORD")
        else:
            json_user = {}
        return _provisioned(self._store, self.reference, section.url, json, secure) | json_user

    def numbers(self, device: str, points: Sequence[str]) -> Json:
        where = self._where("value", device, points)
        return self._target(f"avg_over_time({where}[$__interval]) default last_over_time({where}[130s])", "{{point}}")

    def words(self, device: str, points: Sequence[str], *, is_text: bool) -> Json:
        if is_text:
            return self._target(f"last_over_time({self._where('text', device, points)}[130s])", "{{point}} {{text}}")
        return self._target(f"last_over_time({self._where('value', device, points)}[130s])", "{{point}}")

    def series(self, device: str, point: str) -> str:
        return point

    def _where(self, metric: str, device: str, points: Sequence[str]) -> str:
        chosen = "|".join(re.escape(point) for point in points).replace("\\", "\\\\").replace('"', '\\"')
        return f'{self._section.prefix}_{metric}{{device="{device}",point=~"{chosen}"}}'

    def _target(self, expression: str, legend: str) -> Json:
        return {
            "refId": "A",
            "datasource": self.reference,
            "expr": expression,
            "legendFormat": legend,
            "range": True,
        }


class PostgresqlSource:
    """In SQL, from the view `reading`."""

    def __init__(self, store: str, section: PostgresqlSection) -> None:
        self._store = store
        self._section = section

    @property
    def reference(self) -> Json:
        return {"type": POSTGRESQL, "uid": uid(self._store)}

    def provisioned(self) -> Json:
        section = self._section
        encryption = {"verified": "verify-full", "unverified": "require", "none": "disable"}[section.used_encryption]
        json: Json = {"database": section.database, "sslmode": encryption, "timescaledb": False}
        secure = {"password": secret(self._store, "PASSWORD")} if section.password else {}
        url = f"{section.host}:{section.port}"
        return _provisioned(self._store, self.reference, url, json, secure, user=section.user)

    def numbers(self, device: str, points: Sequence[str]) -> Json:
        return self._target("avg(number)", device, points)

    def words(self, device: str, points: Sequence[str], *, is_text: bool) -> Json:
        value = "text" if is_text else "number"
        return self._target(f"(array_agg({value} ORDER BY time DESC))[1]", device, points)

    def series(self, device: str, point: str) -> str:
        return f"{device}.{point}"

    def _target(self, what: str, device: str, points: Sequence[str]) -> Json:
        names = ", ".join(sql_text(f"{device}.{point}") for point in points)
        return sql_target(
            self.reference,
            f'SELECT $__timeGroup("time", $__interval) AS "time", name AS metric, {what} AS value '  # noqa: S608
            f"FROM {self._section.schema_}.reading WHERE name IN ({names}) AND $__timeFilter(time) "
            "GROUP BY 1, 2 ORDER BY 1",
            "time_series",
        )


class RecordsSource:
    """The database of the product, where it is a PostgreSQL: alarms and runs as annotations."""

    def __init__(self, url: str) -> None:
        self._parts = urlsplit(url)

    @property
    def reference(self) -> Json:
        return {"type": POSTGRESQL, "uid": uid("records")}

    def provisioned(self) -> Json:
        parts = self._parts
        json: Json = {"database": parts.path.lstrip("/"), "timescaledb": False}
        url = f"{parts.hostname or 'localhost'}:{parts.port or _POSTGRES_PORT}"
        secure = {"password": secret("records", "PASSWORD")}
        return _provisioned("records", self.reference, url, json, secure, user=parts.username or "")

    def annotations(self, device: str) -> list[Json]:
        """Alarms of the device and of all its points, and runs."""
        pattern = sql_text(rf"(^|\.){re.escape(device)}(\.|$)")
        time = 'time_ns / 1000000 AS "time"'
        return [
            self._annotation(
                "Alarms",
                "red",
                f"SELECT {time}, title || ': ' || kind AS text, 'priority ' || priority AS tags FROM alarm_history "  # noqa: S608
                f"WHERE kind IN ('announced', 'returned') AND alarm ~ {pattern} "
                "AND time_ns BETWEEN $__from * 1000000::bigint AND $__to * 1000000::bigint",
            ),
            self._annotation(
                "Runs",
                "blue",
                'SELECT started_ns / 1000000 AS "time", ended_ns / 1000000 AS timeend, '
                "'Run ' || number || ' of ' || partition AS text, partition AS tags FROM run "
                "WHERE started_ns <= $__to * 1000000::bigint "
                "AND coalesce(ended_ns, started_ns) >= $__from * 1000000::bigint",
            ),
        ]

    def _annotation(self, name: str, colour: str, query: str) -> Json:
        target = sql_target(self.reference, query, "table")
        target["refId"] = "Anno"
        return {
            "name": name,
            "datasource": self.reference,
            "enable": True,
            "hide": False,
            "iconColor": colour,
            "target": target,
        }


POSTGRESQL = "grafana-postgresql-datasource"


def uid(store: str) -> str:
    """The identifier of the data source of a store, at most 40 signs."""
    return f"countingroom-{store}"[:40]


def secret(store: str, kind: str) -> str:
    """The environment variable of Grafana that has a secret, as its provisioning files write it."""
    word = re.sub(r"\W", "_", store).upper()
    return f"${{COUNTINGROOM_{word}_{kind}}}"


def sql_text(text: str) -> str:
    """A text in a statement."""
    escaped = text.replace("'", "''")
    return f"'{escaped}'"


def sql_target(reference: Json, query: str, form: str) -> Json:
    """A question in SQL."""
    return {
        "refId": "A",
        "datasource": reference,
        "format": form,
        "rawQuery": True,
        "editorMode": "code",
        "rawSql": query,
    }


def _provisioned(store: str, reference: Json, url: str, json: Json, secure: Json, *, user: str = "") -> Json:
    entry: Json = {
        "name": f"countingroom {store}",
        "uid": reference["uid"],
        "type": reference["type"],
        "access": "proxy",
        "url": url,
        "editable": False,
        "jsonData": json,
    }
    if user:
        entry["user"] = user
    if secure:
        entry["secureJsonData"] = secure
    return entry
