"""Texts over time: one row where a text begins. Samples that repeat it only make it last, until it changes or a gap.

Pure."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from countingroom.core.series import RangeQuery, Series
from countingroom.core.times import format_span
from countingroom.core.values import Quality
from countingroom.history.time_gaps import GAP_NS


class TextSample(Struct, frozen=True, kw_only=True):
    """One sample of a text."""

    time_ns: int
    text: str | None
    quality: int


class Stretch(Struct, kw_only=True):
    """The same text and quality without a gap."""

    begin_ns: int
    last_ns: int
    text: str | None
    quality: int
    count: int


def stretches(samples: Iterable[TextSample]) -> list[Stretch]:
    """Samples, in order of time, as stretches."""
    found: list[Stretch] = []
    for sample in samples:
        now = found[-1] if found else None
        if now and (now.text, now.quality) == (sample.text, sample.quality) and sample.time_ns - now.last_ns <= GAP_NS:
            now.last_ns = sample.time_ns
            now.count += 1
        else:
            found.append(
                Stretch(
                    begin_ns=sample.time_ns,
                    last_ns=sample.time_ns,
                    text=sample.text,
                    quality=sample.quality,
                    count=1,
                )
            )
    return found


def series(query: RangeQuery, texts: list[Stretch]) -> Series:
    """The answer: one row where a stretch begins, one where a gap does. Where these are too many, the last of equal
    buckets."""
    bucket = 0
    most = query.max_points // 2
    if len(texts) > most:
        bucket = -(-(query.end_ns - query.start_ns) // (most - 1))
        texts = list({stretch.begin_ns // bucket: stretch for stretch in texts}.values())
    time: list[int] = []
    text: list[str | None] = []
    quality: list[int] = []
    count: list[int] = []
    following = [stretch.begin_ns for stretch in texts[1:]] + [query.end_ns]
    for stretch, then in zip(texts, following, strict=True):
        begin = max(stretch.begin_ns, query.start_ns)
        time.append(begin)
        text.append(stretch.text)
        quality.append(stretch.quality)
        count.append(stretch.count if stretch.begin_ns >= query.start_ns else stretch.count - 1)
        if then - stretch.last_ns > GAP_NS:
            time.append(max(stretch.last_ns, begin) + 1)
            text.append(None)
            quality.append(int(Quality.BAD))
            count.append(0)
    nothing: list[float | None] = [None] * len(time)
    return Series(
        point=query.point,
        resolution=f"raw/{format_span(bucket)}" if bucket else "raw",
        bucket_ns=bucket,
        time_ns=time,
        mean=nothing,
        low=nothing,
        high=nothing,
        quality=quality,
        count=count,
        text=text,
    )
