"""A chart goes only where its table says, and looking at the table finds what was seeded wrong into it."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countingroom.core.charts.chart import Chart, Row
from countingroom.core.charts.check import Finding, Severity, check, check_map
from countingroom.core.charts.draw import dot, mermaid, svg
from countingroom.core.charts.layout import layout
from countingroom.core.charts.table import Unreadable, read_map, read_table
from countingroom.core.errors import NotAllowed

NAMES = st.sampled_from(["Idle", "Busy", "Active", "Recording", "Error", "Paused", "Gone", 'a<b>&"c'])
EVENTS = st.sampled_from(["configure", "success", "abort", "error", "reset"])
ROWS = st.lists(st.builds(Row, NAMES, EVENTS, NAMES), min_size=1, max_size=25)


def chart_of(rows: list[Row]) -> Chart:
    return Chart(name="any", rows=tuple(rows), initial=rows[0].state, safe=(rows[0].state,))


def codes(findings: tuple[Finding, ...]) -> set[tuple[str, int]]:
    return {(finding.code, finding.place.line) for finding in findings}


@given(ROWS, NAMES, EVENTS)
def test_a_step_goes_where_the_first_row_says_or_is_refused_with_what_is_allowed(
    rows: list[Row], state: str, event: str
) -> None:
    chart = chart_of(rows)
    ends = [row.next for row in rows if (row.state, row.event) == (state, event)]
    if ends:
        assert chart.step(state, event) == ends[0]
        assert event in chart.allowed(state)
    else:
        with pytest.raises(NotAllowed) as refused:
            chart.step(state, event)
        assert set(refused.value.allowed) == {row.event for row in rows if row.state == state}


@given(ROWS)
def test_a_table_written_as_csv_with_blank_lines_and_spaces_reads_back(rows: list[Row]) -> None:
    text = "\n\n".join(f" {row.state} ,{row.event}, {row.next}" for row in rows)
    table = read_table(text, file="x.csv")
    assert table.chart.rows == tuple(rows)
    assert [place.line for place in table.places] == list(range(1, 2 * len(rows), 2))


@given(ROWS)
def test_unreachable_and_stuck_states_are_exactly_those_found_by_walking(rows: list[Row]) -> None:
    chart = chart_of(rows)

    def reach(start: str) -> set[str]:
        seen, todo = {start}, [start]
        while todo:
            state = todo.pop()
            for event in chart.allowed(state):
                end = chart.step(state, event)
                if end not in seen:
                    seen.add(end)
                    todo.append(end)
        return seen

    found = check(chart)
    firsts = {(row.state, row.event): row for row in reversed(rows)}
    single = Chart(name="any", rows=tuple(firsts.values()), initial=chart.initial, safe=chart.safe)
    if len(firsts) == len(rows):  # no event twice: `step` and the table agree on every way
        unreachable = {state for state in chart.states if state not in reach(chart.initial)}
        stuck = {state for state in chart.states if chart.initial not in reach(state)}
        told = [finding.text for finding in found]
        assert sum(finding.code == "unreachable" for finding in found) == len(unreachable)
        assert sum(finding.code == "no_way_to_safe" for finding in found) == len(stuck)
        assert all(any(state in text for text in told) for state in unreachable | stuck)
    assert not any(finding.code == "declared_twice" for finding in check(single))


@given(ROWS, st.data())
def test_every_state_has_a_cell_of_its_own_and_every_transition_is_drawn(rows: list[Row], data: st.DataObject) -> None:
    chart = chart_of(rows)
    plan = layout(chart)
    assert set(plan.cells) == set(chart.states)
    assert len(set(plan.cells.values())) == len(plan.cells)
    drawn = {(edge.begin, event, edge.end) for edge in plan.edges for event in edge.events}
    drawn |= {(begin, one.event, one.end) for one in plan.escapes for begin in one.begins}
    assert drawn == {(s, event, chart.step(s, event)) for s in chart.states for event in chart.allowed(s)}

    present = data.draw(st.sampled_from(chart.states))
    picture = ET.fromstring(svg(chart, present))
    boxes = [group for group in picture.iter() if "data-state" in group.attrib]
    assert [box.attrib["data-state"] for box in boxes if "present" in box.attrib["class"].split()] == [present]
    assert {box.attrib["data-state"] for box in boxes} == set(chart.states)
    assert not any("style" in element.attrib or element.tag.endswith("style") for element in picture.iter())


@given(ROWS)
def test_boxes_never_overlap_and_stay_in_the_picture(rows: list[Row]) -> None:
    picture = ET.fromstring(svg(chart_of(rows)))
    wide, high = float(picture.attrib["width"]), float(picture.attrib["height"])
    boxes = [
        tuple(float(rect.attrib[name]) for name in ("x", "y", "width", "height"))
        for rect in picture.iter("{http://www.w3.org/2000/svg}rect")
    ]
    for index, (x, y, w, h) in enumerate(boxes):
        assert x >= 0 and y >= 0 and x + w <= wide and y + h <= high
        assert all(x + w <= ox or ox + ow <= x or y + h <= oy or oy + oh <= y for ox, oy, ow, oh in boxes[:index])


@given(ROWS)
def test_no_line_runs_through_a_box(rows: list[Row]) -> None:
    picture = ET.fromstring(svg(chart_of(rows)))
    boxes = [
        tuple(float(rect.attrib[name]) for name in ("x", "y", "width", "height"))
        for rect in picture.iter("{http://www.w3.org/2000/svg}rect")
    ]
    for line in picture.iter("{http://www.w3.org/2000/svg}polyline"):
        spots = [tuple(map(float, spot.split(","))) for spot in line.attrib["points"].split()]
        for (ax, ay), (bx, by) in pairwise(spots):
            for part in range(1, 50):
                px, py = ax + (bx - ax) * part / 50, ay + (by - ay) * part / 50
                assert not any(x < px - 0.2 < x + w - 0.4 and y < py - 0.2 < y + h - 0.4 for x, y, w, h in boxes)


GOOD = """Idle,configure,Busy
Busy,success,Active
Busy,error,Error

Active,stop,Idle
Error,reset,Idle
"""


def test_a_good_table_has_no_findings() -> None:
    assert check(read_table(GOOD, file="good.csv")) == ()


@pytest.mark.parametrize(
    ("seeded", "code", "line", "severity", "said"),
    [
        ("Lost,find,Idle", "unreachable", 7, Severity.ERROR, "Lost can never be reached from Idle"),
        ("Active,break,Broken", "no_way_to_safe", 7, Severity.ERROR, "Broken is a dead end"),
        ("Busy,success,Idle", "declared_twice", 7, Severity.ERROR, "line 2 to Active, and here to Idle"),
        ("Busy,success,Active", "declared_twice", 7, Severity.ODD, "line 2 to Active, and here to Active"),
        ("Error,again,Idle", "same_events", 7, Severity.ODD, "reset and again have the same effect"),
        ("Active,go,Actvie", "no_way_to_safe", 7, Severity.ERROR, "Actvie is a dead end"),
    ],
)
def test_a_seeded_fault_is_found_at_its_line(seeded: str, code: str, line: int, severity: Severity, said: str) -> None:
    findings = check(read_table(GOOD + seeded + "\n", file="seeded.csv"))
    assert [(one.code, one.place.line, one.severity) for one in findings] == [(code, line, severity)]
    assert said in findings[0].text


def test_two_states_that_only_lead_to_each_other_are_a_trap() -> None:
    table = read_table(GOOD + "Active,trap,Left\nLeft,go,Right\nRight,go,Left\n", file="trap.csv")
    assert codes(check(table)) == {("no_way_to_safe", 7), ("no_way_to_safe", 8)}


def test_a_misspelt_state_is_recognised() -> None:
    findings = check(read_table(GOOD + "Active,go,Actvie\n", file="x.csv"))
    assert findings[0].suggestion == "did you mean Active?"


def test_an_event_that_one_state_forgot_is_odd() -> None:
    text = "A,go,B\nB,go,C\nC,go,D\nB,error,E\nC,error,E\nD,error,E\nE,reset,A\n"
    findings = check(read_table(text, file="x.csv"))
    assert [(one.code, one.text) for one in findings] == [
        ("missing_from_one", "error leads to E from every state but A")
    ]


def test_yaml_declares_its_own_initial_and_safe_states_and_map() -> None:
    text = """
name: magnet
initial: "Off"
safe: ["Off", Parked]
common: {Ramping: moving, Lost: error}
rows:
  - ["Off", ramp, Ramping]
  - [Ramping, done, "Off"]
"""
    table = read_table(text, file="magnet.yaml")
    assert table.chart.name == "magnet"
    assert table.chart.to_common("Ramping") == "moving"
    found = [(one.code, one.place.line) for one in check(table)]
    assert found == [("unknown_state", 4), ("unmapped", 7)]
    assert table.states is not None
    assert [(one.code, one.place.line) for one in check_map(table.states, [table.chart])] == [("unused_map_row", 5)]


def test_a_map_row_twice_is_wrong_where_it_contradicts() -> None:
    states = read_map("A,on\nB,off\nA,off\nB,off\n", file="map.csv")
    found = check_map(states, [chart_of([Row("A", "go", "B")])])
    assert [(one.code, one.severity.value, one.place.line) for one in found] == [
        ("mapped_twice", "error", 3),
        ("mapped_twice", "odd", 4),
    ]
    assert states.common == {"A": "on", "B": "off"}


def test_every_line_that_is_no_row_is_told_at_once() -> None:
    with pytest.raises(Unreadable) as unreadable:
        read_table("A,go,B\nA,go\n\nA,,B\nA,b,c,d\n", file="bad.csv")
    assert [problem.place.line for problem in unreadable.value.problems] == [2, 4, 5]
    assert str(unreadable.value.problems[0]) == "bad.csv:2: got 'A,go'; expected 3 words: state,event,next"


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("rows: [[A, go, B]]\ninitail: A\n", 2, "did you mean initial?"),
        ("rows:\n  - [A, go]\n", 2, "is missing"),
        ("name: x\n", 1, "is missing"),
        ("rows: [[A, go, B]\n", 2, "invalid YAML"),
        ("rows: [[A, go, B]]\nrows: []\n", 2, "given twice"),
    ],
)
def test_a_yaml_table_that_is_none_is_refused_at_its_line(text: str, line: int, said: str) -> None:
    with pytest.raises(Unreadable) as unreadable:
        read_table(text, file="x.yaml")
    (problem,) = unreadable.value.problems
    assert problem.place.line == line
    assert said in problem.message


def test_an_empty_table_is_refused() -> None:
    with pytest.raises(Unreadable):
        read_table("\n\n", file="empty.csv")


def test_a_picture_in_mermaid_and_graphviz_has_every_transition_once() -> None:
    chart = read_table(GOOD, file="good.csv").chart
    text = mermaid(chart, "Active")
    assert text.startswith("stateDiagram-v2\n")
    assert text.count("-->") == len(chart.rows) + 1
    assert "class s2 present" in text
    graph = dot(chart, "Active")
    assert graph.count("->") == len(chart.rows) + 1
    assert '"Idle" [label="Idle", peripheries=2]' in graph


def test_an_unused_row_of_a_map_names_a_similar_state_that_has_none() -> None:
    chart = Chart(name="m", rows=(Row("OFF", "go", "HV_ON"), Row("HV_ON", "stop", "OFF")), initial="OFF", safe=("OFF",))
    (found,) = check_map(read_map("HV_ONN,on\nOFF,off\n", file="map.csv"), [chart])
    assert found.suggestion == "did you mean HV_ON?"
    (found,) = check_map(read_map("HV_ONN,on\nHV_ON,on\nOFF,off\n", file="map.csv"), [chart])
    assert found.suggestion == "remove the row"
