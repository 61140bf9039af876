"""The report as a PDF: the same parts as on the page, with page numbers and real text. The same report gives the same
bytes.

Letters come from a font of this package (DejaVu Sans), of which the file holds those that it uses. A letter that the
font lacks becomes a mark.
"""

# The types of the library are known in part.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import cast

from reportlab import rl_config
from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.pdfbase.pdfmetrics import getFont, getRegisteredFontNames, registerFont
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

from countingroom.site import zones
from countingroom.site.drawing import ChartDrawing, DrawnBox, DrawnDots, DrawnLine, DrawnPart, DrawnShape, DrawnText
from countingroom.site.letter_order import in_order
from countingroom.site.report import RunsReport
from countingroom.site.report_parts import ReportColumn, ReportPart, report_parts, time_range, withheld_line

FONT = Path(__file__).parent / "fonts" / "DejaVuSans.ttf"
_FAMILY = "DejaVuSans"
_Colour = tuple[int, int, int]
_MARGIN, _WIDTH, _BOTTOM = 16.0, 178.0, 277.0
"""Of a page A4, in mm."""
_UNIT = _WIDTH / 640.0
"""mm of one unit of a drawing."""
_GAP = 20 * _UNIT
"""Between two narrow charts beside each other."""
_TEXT_PT, _CHART_PT, _FOOT_PT, _ROW_MM = 8.5, 8.6, 7.5, 5.0
_NUMBER_MM = 24.0
_INK, _SOFT, _LINE, _BAND = (29, 34, 38), (80, 87, 94), (191, 195, 199), (240, 241, 242)
_UNKNOWN = "\ufffd"
_PAGES = "pages"
_FOOT_AT, _NUMBER_WIDE = 287.0, 6.5
_PALETTE: dict[str, _Colour] = {
    "k0": (109, 115, 121),
    "k1": (31, 111, 168),
    "k2": (46, 112, 88),
    "k3": (138, 90, 18),
    "k4": (106, 61, 154),
    "k5": (176, 50, 111),
    "f-crashed": (179, 20, 27),
    "f-stuck": (143, 73, 0),
    "f-late": (95, 84, 0),
    "f-good": (140, 147, 153),
    "f-none": (205, 209, 212),
    "gl": (222, 224, 226),
    "ax": _LINE,
}
"""Colours of the looks, those of the light style sheet."""


rl_config.useA85 = 0  # bytes as they are: a fifth smaller


def _font() -> TTFont:
    """The font, which the library keeps once it was read."""
    if _FAMILY not in getRegisteredFontNames():
        registerFont(TTFont(_FAMILY, FONT))
    return cast("TTFont", getFont(_FAMILY))


class _Paper:
    """Pages, measured in mm from the left upper corner, with their number at the foot."""

    def __init__(self, title: str, foot: str) -> None:
        font = _font()
        self._letters = frozenset(font.face.charToGlyph)
        self._foot = foot
        self._file = BytesIO()
        # Invariant: no time, and no number that is drawn by lot.
        self.canvas = Canvas(self._file, pagesize=A4, invariant=1, pageCompression=1, lang="en")
        self.canvas.setTitle(title)
        self.canvas.setCreator("countingroom")
        self.canvas.setProducer("countingroom")
        self.pages = 1

    def next_page(self) -> None:
        """End this page and begin another one."""
        self._end_page()
        self.pages += 1

    def ended(self) -> bytes:
        """The file."""
        self._end_page()
        # What stands on each page, and is known only now.
        self.canvas.beginForm(_PAGES)
        self.write(_MARGIN + _WIDTH - _NUMBER_WIDE, _FOOT_AT, f"of {self.pages}", size=_FOOT_PT, colour=_SOFT)
        self.canvas.endForm()
        self.canvas.save()
        return self._file.getvalue()

    def _end_page(self) -> None:
        self.write(_MARGIN, _FOOT_AT, self._foot, size=_FOOT_PT, colour=_SOFT, width=_WIDTH - 30)
        at = _MARGIN + _WIDTH - _NUMBER_WIDE - 0.8
        self.write(at, _FOOT_AT, f"Page {self.pages}", size=_FOOT_PT, colour=_SOFT, anchor="end")
        self.canvas.doForm(_PAGES)
        self.canvas.showPage()

    def write(
        self,
        x: float,
        y: float,
        text: str,
        *,
        size: float = _TEXT_PT,
        colour: _Colour = _INK,
        anchor: str = "start",
        width: float | None = None,
    ) -> None:
        """One line, `y` at its base; cut to a width."""
        shown = self._fitting(self._known(text), size, width)
        self._fill(colour)
        self.canvas.setFont(_FAMILY, size)
        left = x - self._wide(shown, size) * {"start": 0.0, "middle": 0.5, "end": 1.0}[anchor]
        self.canvas.drawString(left * mm, self._up(y), in_order(shown))

    def lines(self, text: str, width: float, size: float) -> list[str]:
        """A text in lines that fit into a width."""
        found: list[str] = [""]
        for word in self._known(text).split(" "):
            longer = f"{found[-1]} {word}".strip()
            if self._wide(longer, size) > width and found[-1]:
                found.append(word)
            else:
                found[-1] = longer
        return found

    def line(self, x1: float, y1: float, x2: float, y2: float, colour: _Colour, width: float = 0.2) -> None:
        """A straight line."""
        self.canvas.setStrokeColorRGB(*(one / 255 for one in colour))
        self.canvas.setLineWidth(width * mm)
        self.canvas.line(x1 * mm, self._up(y1), x2 * mm, self._up(y2))

    def box(self, x: float, y: float, width: float, height: float, colour: _Colour) -> None:
        """A filled rectangle."""
        self._fill(colour)
        self.canvas.rect(x * mm, self._up(y + height), width * mm, height * mm, stroke=0, fill=1)

    def shape(self, points: Sequence[tuple[float, float]], colour: _Colour) -> None:
        """A filled polygon."""
        self._fill(colour)
        path = self.canvas.beginPath()
        path.moveTo(points[0][0] * mm, self._up(points[0][1]))
        for x, y in points[1:]:
            path.lineTo(x * mm, self._up(y))
        path.close()
        self.canvas.drawPath(path, stroke=0, fill=1)

    def dots(self, points: Sequence[tuple[float, float]], colour: _Colour) -> None:
        """Round points: lines of no length with round ends, a sixth of what circles take."""
        self.canvas.setStrokeColorRGB(*(one / 255 for one in colour))
        self.canvas.setLineWidth(0.9 * mm)
        self.canvas.setLineCap(1)
        self.canvas.lines([(x * mm, self._up(y), x * mm, self._up(y)) for x, y in points])
        self.canvas.setLineCap(0)

    def section(self, title: str, number: int) -> None:
        """A place in the list of contents that viewers show."""
        self.canvas.bookmarkPage(f"part-{number}")
        self.canvas.addOutlineEntry(title, f"part-{number}")

    def _fill(self, colour: _Colour) -> None:
        self.canvas.setFillColorRGB(*(one / 255 for one in colour))

    def _up(self, y: float) -> float:
        return A4[1] - y * mm

    def _wide(self, text: str, size: float) -> float:
        return self.canvas.stringWidth(text, _FAMILY, size) / mm

    def _known(self, text: str) -> str:
        plain = text.replace("\u2009", "\u00a0")
        return "".join(self._letter(one) for one in plain if one.isprintable() or one == "\u00a0")

    def _letter(self, letter: str) -> str:
        return letter if ord(letter) in self._letters else _UNKNOWN

    def _fitting(self, text: str, size: float, width: float | None) -> str:
        if width is None or self._wide(text, size) <= width:
            return text
        while text and self._wide(text + "…", size) > width:
            text = text[:-1]
        return text + "…"


class _Writer:
    """Puts the parts below each other."""

    def __init__(self, paper: _Paper) -> None:
        self._paper = paper
        self._y = _MARGIN
        self._parts = 0

    def head(self, title: str, lines: Sequence[str]) -> None:
        """The begin of the report."""
        self._y += 6
        for line in self._paper.lines(title, _WIDTH, 16):
            self._paper.write(_MARGIN, self._y, line, size=16)
            self._y += 7.5
        for one in lines:
            self._prose(one)

    def part(self, part: ReportPart) -> None:
        """One part."""
        first = part.drawings[0].height * _UNIT if part.drawings else 4 * _ROW_MM
        self._room(min(26 + first, _BOTTOM - _MARGIN))
        self._y += 6
        self._parts += 1
        self._paper.section(part.title, self._parts)
        self._paper.write(_MARGIN, self._y + 4, part.title, size=12)
        self._paper.line(_MARGIN, self._y + 6, _MARGIN + _WIDTH, self._y + 6, _LINE, 0.3)
        self._y += 11
        self._prose(part.about)
        self._charts(part.drawings)
        self._table(part.columns, part.rows)

    def _prose(self, text: str) -> None:
        for line in self._paper.lines(text, _WIDTH, _TEXT_PT):
            self._paper.write(_MARGIN, self._y, line, colour=_SOFT)
            self._y += 4.4

    def _room(self, height: float) -> None:
        """Begin a page where so much does not fit on this one."""
        if self._y + height > _BOTTOM:
            self._paper.next_page()
            self._y = _MARGIN

    def _charts(self, drawings: Sequence[ChartDrawing]) -> None:
        left = _MARGIN
        for place, one in enumerate(drawings):
            width, height = one.width * _UNIT, one.height * _UNIT
            if left == _MARGIN:
                self._room(height + 2)
            self._draw(one, left, self._y)
            after = drawings[place + 1] if place + 1 < len(drawings) else None
            if left == _MARGIN and after and width + _GAP + after.width * _UNIT <= _WIDTH + 0.1:
                left += width + _GAP
            else:
                left = _MARGIN
                self._y += height + 3

    def _draw(self, drawing: ChartDrawing, x: float, y: float) -> None:
        for part in drawing.parts:
            self._put(part, x, y)

    def _put(self, part: DrawnPart, left: float, top: float) -> None:
        paper = self._paper
        match part:
            case DrawnBox(x, y, width, height, look):
                paper.box(left + x * _UNIT, top + y * _UNIT, width * _UNIT, height * _UNIT, _PALETTE[look])
            case DrawnLine(x1, y1, x2, y2, look):
                ends = (left + x1 * _UNIT, top + y1 * _UNIT, left + x2 * _UNIT, top + y2 * _UNIT)
                paper.line(*ends, _PALETTE[look])
            case DrawnText(x, y, text, anchor):
                paper.write(left + x * _UNIT, top + y * _UNIT, text, size=_CHART_PT, anchor=anchor)
            case DrawnShape(points, look):
                paper.shape([(left + x * _UNIT, top + y * _UNIT) for x, y in points], _PALETTE[look])
            case DrawnDots(points, look):
                paper.dots([(left + x * _UNIT, top + y * _UNIT) for x, y in points], _PALETTE[look])

    def _table(self, columns: Sequence[ReportColumn], rows: Sequence[Sequence[str]]) -> None:
        texts = sum(not one.is_number for one in columns)
        numbers = (len(columns) - texts) * _NUMBER_MM
        wide = (_WIDTH - numbers) / texts if texts else 0.0
        # A table of few columns is no wider than its texts need.
        widths = [_NUMBER_MM if one.is_number else min(wide, 110.0) for one in columns]
        self._room(3 * _ROW_MM)
        self._titles(columns, widths)
        for place, row in enumerate(rows):
            if self._y + _ROW_MM > _BOTTOM:
                self._paper.next_page()
                self._y = _MARGIN
                self._titles(columns, widths)
            if place % 2:
                self._paper.box(_MARGIN, self._y, sum(widths), _ROW_MM, _BAND)
            self._cells(row, columns, widths, _INK)
        self._y += 2

    def _titles(self, columns: Sequence[ReportColumn], widths: Sequence[float]) -> None:
        self._cells([one.title for one in columns], columns, widths, _SOFT)
        self._paper.line(_MARGIN, self._y, _MARGIN + sum(widths), self._y, _LINE)

    def _cells(
        self,
        texts: Sequence[str],
        columns: Sequence[ReportColumn],
        widths: Sequence[float],
        colour: tuple[int, int, int],
    ) -> None:
        x = _MARGIN
        for text, column, width in zip(texts, columns, widths, strict=True):
            at, anchor = (x + width - 1, "end") if column.is_number else (x + 1, "start")
            self._paper.write(at, self._y + 3.6, text, colour=colour, anchor=anchor, width=width - 2)
            x += width
        self._y += _ROW_MM


def report_pdf(report: RunsReport, title: str) -> bytes:
    """The file. `title`: what the site is called."""
    name = f"{title}: runs {report.first} to {report.last}"
    paper = _Paper(name, f"{name}, {report.set}")
    paper.canvas.setSubject(f"Report of the set {report.set}, {time_range(report)}")
    there = f"{zones.grouped(report.runs.total)} runs of the set {report.set}, {time_range(report)}."
    if not report.runs.total:
        there = f"There is no run from {report.first} to {report.last} in the set {report.set}."
    writer = _Writer(paper)
    writer.head(name, (there, withheld_line(report)))
    for part in report_parts(report):
        writer.part(part)
    return paper.ended()
