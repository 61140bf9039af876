"""The samples of one point in the order in which they hold, without what only an export needs. Pure."""

from __future__ import annotations

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from countingroom.core.values import Quality
from countingroom.history.columns import Bytes, Columns, Integers, Kind, Numbers


class PointTrack(Struct, frozen=True, kw_only=True):
    """Arrays of equal length, in order of time; of one time the last received is last, and of those the worst."""

    time_ns: Integers
    number: Numbers
    """NaN where there is no number."""
    kind: Bytes
    quality: Bytes
    texts: dict[int, str]
    """Row -> text."""

    @property
    def is_good(self) -> NDArray[np.bool_]:
        """Which rows have a value of quality GOOD or UNCERTAIN."""
        return (self.quality < Quality.STALE) & (~np.isnan(self.number) | (self.kind == Kind.TEXT))

    def followed_by(self, other: PointTrack) -> PointTrack:
        """Both; all of the other are later."""
        size = len(self.time_ns)
        return PointTrack(
            time_ns=np.concatenate((self.time_ns, other.time_ns)),
            number=np.concatenate((self.number, other.number)),
            kind=np.concatenate((self.kind, other.kind)),
            quality=np.concatenate((self.quality, other.quality)),
            texts=self.texts | {size + row: text for row, text in other.texts.items()},
        )

    def last(self) -> PointTrack:
        """The last row alone, copied: what it is taken from need not be kept."""
        end = len(self.time_ns) - 1
        return PointTrack(
            time_ns=self.time_ns[-1:].copy(),
            number=self.number[-1:].copy(),
            kind=self.kind[-1:].copy(),
            quality=self.quality[-1:].copy(),
            texts={0: self.texts[end]} if end in self.texts else {},
        )


def track(
    time_ns: Integers, number: Numbers, kind: Bytes, quality: Bytes, received_ns: Integers, texts: dict[int, str]
) -> PointTrack:
    """Rows in any order, put in order; only where they are not."""
    step = np.diff(time_ns)
    if len(step) and step.max() < 0:  # as every other point is sorted in the DuckDB file
        last = len(time_ns) - 1
        turned = {last - row: text for row, text in texts.items()}
        return PointTrack(
            time_ns=time_ns[::-1], number=number[::-1], kind=kind[::-1], quality=quality[::-1], texts=turned
        )
    if len(step) and step.min() <= 0:
        order = np.argsort(time_ns, kind="stable")  # quick for parts that go up or down
        if not np.diff(time_ns[order]).all():
            order = np.lexsort((quality, received_ns, time_ns))
        time_ns, number, kind, quality = time_ns[order], number[order], kind[order], quality[order]
        if texts:
            texts = {place: texts[row] for place, row in enumerate(order.tolist()) if row in texts}
    return PointTrack(time_ns=time_ns, number=number, kind=kind, quality=quality, texts=texts)


def of_columns(columns: Columns) -> PointTrack:
    """The samples of one point as a store gives them."""
    return track(
        columns.time_ns, columns.number, columns.kind, columns.quality, columns.received_ns, dict(columns.texts)
    )
