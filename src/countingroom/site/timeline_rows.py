"""Rows of the timeline: a run with a cell for each client. The cells of a run whose clients have all ended do not
change any more, and are kept as text."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from markupsafe import Markup, escape
from msgspec import Struct

from countingroom.site import zones
from countingroom.site.clients import ClientPhase, ClientState, RunRecord

_KEPT = 2000
_CLASSES = {ClientPhase.CRASHED: "g1", ClientPhase.STUCK: "g2", ClientPhase.FINISHED: "f", ClientPhase.RUNNING: ""}


class TimelineRow(Struct, frozen=True, kw_only=True):
    """A run in the timeline."""

    number: int
    key: str
    release: str
    at_s: float | None
    section: int | None
    clients: int
    bad: int
    cells: Markup


class TimelineRows:
    """Makes them."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._kept: OrderedDict[tuple[str, int, bool, bool], tuple[RunRecord, TimelineRow | None]] = OrderedDict()

    def of(self, runs: Sequence[RunRecord], now_s: float, *, bad_only: bool, with_sections: bool) -> list[TimelineRow]:
        """The rows, the newest first; runs of which the filters leave no client are left out."""
        found = [self._row(run, now_s, bad_only, with_sections) for run in reversed(runs)]
        return [one for one in found if one is not None]

    def _row(self, run: RunRecord, now_s: float, bad_only: bool, with_sections: bool) -> TimelineRow | None:
        key = (run.set, run.number, bad_only, with_sections)
        kept = self._kept.get(key)
        if kept is not None and kept[0] is run:
            return kept[1]
        chosen = [one for one in run.clients if (not bad_only or one.exit_code) and (not with_sections or one.section)]
        row = self._made(run, chosen, now_s) if chosen else None
        if all(one.is_ended for one in run.clients):
            self._kept[key] = (run, row)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return row

    def _made(self, run: RunRecord, clients: Sequence[ClientState], now_s: float) -> TimelineRow:
        set_name = "" if run.set == "production" else f"&amp;db={run.set}"
        base = f"{self._prefix}/run/{run.number}?client="
        cells = "".join(_cell(one, one.phase(now_s), base, set_name) for one in clients)
        return TimelineRow(
            number=run.number,
            key=run.key,
            release=run.release,
            at_s=run.heard_s,
            section=run.section,
            clients=len(clients),
            bad=sum(bool(one.exit_code) for one in clients),
            cells=Markup(cells),  # noqa: S704 (each text in it is escaped)
        )


def _cell(client: ClientState, phase: ClientPhase, base: str, set_name: str) -> str:
    level = _CLASSES[phase]
    end = f", exit {client.exit_code}" if client.exit_code else ""
    section = "" if client.section is None else f", section {client.section}"
    tip = escape(f"{client.name}: {phase}{end}\n{client.host}\n{zones.compact(client.events)} events{section}")
    mark = f'<i class="m {level}"></i>' if level in ("g1", "g2") else ""
    kind = f' class="{level}"' if level else ""
    name = escape(client.name)
    link = f'<a href="{base}{name}{set_name}"{kind}'
    return f'{link} data-tip="{tip}" aria-label="{name} {phase}">{mark}</a>'
