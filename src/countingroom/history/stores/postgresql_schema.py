# ruff: noqa: S608 (what is put into statements are names of ours and the checked name of the schema)
"""The tables of the history in PostgreSQL, and the view for people and programs that read them. Pure."""

from __future__ import annotations

VERSION = 1
"""Version of the tables. A later one begins with the statements that lead to it."""


_INDEXES = {
    "point": "CREATE INDEX IF NOT EXISTS sample_point_time ON sample (point, time)",
    "time": "CREATE INDEX IF NOT EXISTS sample_time ON sample USING brin (time) "
    "WITH (pages_per_range = 32, autosummarize = on)",
}


def schema(name: str, index: str) -> tuple[str, ...]:
    """The statements that make what is missing, in the schema of this name. The position is that of a new store."""
    return (
        f"CREATE SCHEMA IF NOT EXISTS {name}",
        """CREATE TABLE IF NOT EXISTS point (
            id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            name text NOT NULL UNIQUE,
            has_text boolean NOT NULL DEFAULT false)""",
        # The columns are ordered by size: in another order each row has more bytes of padding.
        """CREATE TABLE IF NOT EXISTS sample (
            time timestamptz NOT NULL,
            device_ns bigint NOT NULL,
            received_ns bigint NOT NULL,
            sent_ns bigint NOT NULL,
            point integer NOT NULL,
            place integer NOT NULL,
            nanosecond smallint NOT NULL,
            kind smallint NOT NULL,
            quality smallint NOT NULL,
            alarm smallint NOT NULL,
            whole boolean NOT NULL,
            number double precision,
            text text)""",
        _INDEXES[index],
        """CREATE TABLE IF NOT EXISTS progress (
            single boolean PRIMARY KEY DEFAULT true CHECK (single),
            version integer NOT NULL,
            sequence bigint NOT NULL,
            stored_ns bigint NOT NULL)""",
        f"INSERT INTO progress (version, sequence, stored_ns) VALUES ({VERSION}, 0, 0) ON CONFLICT DO NOTHING",
        """CREATE OR REPLACE VIEW reading AS
            SELECT sample.time, point.name, sample.number, sample.text,
                (ARRAY['good', 'uncertain', 'stale', 'bad'])[sample.quality + 1] AS quality
            FROM sample JOIN point ON point.id = sample.point""",
    )
