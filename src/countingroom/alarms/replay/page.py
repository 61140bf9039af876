"""The report of a replay as one HTML page: the picture, the tables, the differences. It loads no other files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape

from countingroom.alarms.replay.report import Report

_MOST_ROWS = 1000
_STYLE = """
body { font: 14px system-ui, sans-serif; margin: 24px; color-scheme: light dark; }
table { border-collapse: collapse; margin: 16px 0; } th, td { padding: 3px 10px; text-align: left; }
th { border-bottom: 1px solid #8894a0; } td { border-bottom: 1px solid #8894a040; }
svg { max-width: 100%; height: auto; }
"""


def page(report: Report, drawn: str) -> str:
    """The page; `drawn` is the picture as SVG."""
    parts = [
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(report.title)}</title>',
        f"<style>{_STYLE}</style></head><body>",
        drawn,
    ]
    for part in report.parts:
        parts += _table(f"{part.word.title()}s", part.head, part.table())
        happened = ("time", part.word, "what", "does, or why", "values")
        parts += _table(f"What {part.word}s would have done", happened, part.rows(_MOST_ROWS))
        if part.differences:
            differs = ("time", part.word, "what", "only in")
            parts += _table("Differs from what was recorded", differs, part.difference_rows(_MOST_ROWS))
    if report.has_alarms:
        parts += _table("Alarms", report.HEAD, report.table())
    if report.differences():
        head = ("time", "alarm", "what", "only in")
        parts += _table("Differs from what was recorded", head, report.difference_rows(_MOST_ROWS))
    parts += [f"<p>{escape(note)}</p>" for note in report.notes()]
    return "\n".join([*parts, "</body></html>\n"])


def _table(title: str, head: Sequence[str], rows: Iterable[Iterable[object]]) -> Iterator[str]:
    yield f"<h2>{escape(title)}</h2><table><tr>{''.join(f'<th>{escape(one)}</th>' for one in head)}</tr>"
    for row in rows:
        yield f"<tr>{''.join(f'<td>{escape(str(cell))}</td>' for cell in row)}</tr>"
    yield "</table>"
