"""Expressions: what they mean, what they refuse and with which words, and their units."""

from __future__ import annotations

import pytest

from countingroom.core.alarms.expression_errors import ExpressionError
from countingroom.core.alarms.expression_units import check_condition, check_units
from countingroom.core.alarms.expressions import compile_expression, truth
from countingroom.core.points import Point, Type
from countingroom.core.values import Scalar

NAMES = {"a": "d.a", "b": "d.b", "on": "d.on", "state": "d.state"}


def value(text: str, **values: Scalar) -> Scalar:
    return compile_expression(text, NAMES).evaluate({f"d.{name}": one for name, one in values.items()})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 + 2 * 3 - 4 / 2", 5.0),
        ("-a + +b", 5.0),
        ("a > 1 and b < 10", True),
        ("1 < a < 3", True),
        ("1 < a < 2", False),
        ("a >= 2 != False", True),
        ("not on", False),
        ("a if on else b", 2.0),
        ("abs(-3) + min(1, a, b) + max(a, b) + sqrt(4)", 13.0),
        ("state == 'ON'", True),
        ("state != 'ON'", False),
        ("on == 1", True),
        ("d.a + point('d.b')", 9.0),
        ("( a\n  > 1 )", True),
        ("  a > 1", True),
        ("True or a", True),
    ],
)
def test_a_value(text: str, expected: Scalar) -> None:
    assert value(text, a=2.0, b=7, on=True, state="ON") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("b", None),
        ("b + 1", None),
        ("b > 1", None),
        ("not b", None),
        ("b and False", False),
        ("False and b", False),
        ("b and True", None),
        ("b or True", True),
        ("b or False", None),
        ("a if b else a", None),
        ("b == b", None),
        ("0 < a < b", None),
        ("5 < a < b", False),
        ("min(a, b)", None),
        ("1 / 0", None),
        ("a / (a - a)", None),
        ("sqrt(-1)", None),
        ("huge * huge", None),
        ("-huge - huge * 10", None),
        ("state > 1", None),
        ("state + 1", None),
        ("state and True", None),
        ("state == 1", None),
        ("on > 0", None),
        ("on + 1", None),
        ("not (nan > 1)", None),
        ("nan == nan", None),
        ("inf > 1", None),
    ],
)
def test_what_is_not_known_stays_unknown(text: str, expected: Scalar) -> None:
    names = {**NAMES, "nan": "d.nan", "inf": "d.inf", "huge": "d.huge"}
    values: dict[str, Scalar] = {
        "d.a": 2.0,
        "d.on": True,
        "d.state": "ON",
        "d.nan": float("nan"),
        "d.inf": float("inf"),
        "d.huge": 1.7e308,
    }
    assert values.keys() >= {names[name] for name in names} - {"d.b"}
    assert compile_expression(text, names).evaluate(values) is expected


def test_integers_of_any_size_end_in_unknown_and_not_in_an_error() -> None:
    product = " * ".join(["a"] * 18)
    assert value(f"{product} / 3", a=(1 << 63) - 1) is None
    assert value(f"sqrt({product})", a=(1 << 63) - 1) is None


def test_the_truth_of_a_value() -> None:
    found = [truth(one) for one in (True, False, 1, 0.0, -2.5, None, "ON", float("nan"))]
    assert found == [True, False, True, False, True, None, None, None]
    assert compile_expression("a", NAMES).condition({"d.a": 3}) is True


def test_references_are_given_once_in_their_order() -> None:
    text = 'b > 1 and point("caen.0.lv_vMon") > marta.co2_temp and d.b < 2'
    assert compile_expression(text, NAMES).references == ("d.b", "caen.0.lv_vMon", "marta.co2_temp")


@pytest.mark.parametrize(
    ("text", "column", "word", "allowed"),
    [
        ("a ** 2", 1, "a ** 2", "+ - * /"),
        ("a % 2", 1, "a % 2", "+ - * /"),
        ("a > 1 and c < 2", 11, "c", "a, b, on, state"),
        ("a > 'x'", 5, "'x'", "texts after =="),
        ("'x'", 1, "'x'", "numbers"),
        ("'a' + 'b' == state", 1, "'a'", "numbers"),
        ("a in (1, 2)", 1, "a", "< <= > >= == !="),
        ("a is None", 1, "a", "< <= > >= == !="),
        ("[a]", 1, "[a]", "numbers"),
        ("a[0]", 1, "a[0]", "numbers"),
        ("(lambda: 1)()", 1, "(lambda: 1)()", "point(…)"),
        ("__import__('os')", 1, "__import__('os')", "point(…)"),
        ("open('x')", 1, "open('x')", "point(…)"),
        ("abs.__call__(1)", 1, "abs.__call__(1)", "point(…)"),
        ("d.a.__class__", 1, "d.a.__class__", "device.point"),
        ("a.real", 1, "a.real", "device.point"),
        ("(1).real", 1, "(1).real", "device.point"),
        ("point(a)", 1, "point(a)", "in quotes"),
        ("point('a')", 1, "point('a')", "in quotes"),
        ("point('a.b', 'c.d')", 1, "point('a.b', 'c.d')", "in quotes"),
        ("abs(a, b)", 1, "abs(a, b)", "abs with 1 value"),
        ("min(a)", 1, "min(a)", "2 or more"),
        ("min(*a)", 1, "min(*a)", "2 or more"),
        ("max(a, key=b)", 1, "max(a, key=b)", "point(…)"),
        ("1e16", 1, "1e16", "1e+15"),
        ("1e999", 1, "1e999", "1e+15"),
        ("2j", 1, "2j", "numbers"),
        ("None", 1, "None", "numbers"),
        ("f'{a}'", 1, "f'{a}'", "numbers"),
        ("a > 1 # and b", 7, "# and b", "numbers"),
        ("a > 1 # old\n and b", 7, "# old  and b", "numbers"),
        ("1if a else 2", 1, "", "numbers"),
        ("", 1, "", "numbers"),
        ("\x00", 1, "", "numbers"),
        ("ä.b + é", 7, "é", "a, b"),
    ],
)
def test_what_is_refused_is_named_with_column_and_allowed_words(
    text: str, column: int, word: str, allowed: str
) -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_expression(text, NAMES)
    assert caught.value.column == column
    assert word in caught.value.word or word == ""
    assert allowed in caught.value.cause.suggestion
    assert f"column {column}:" in str(caught.value)


@pytest.mark.parametrize(
    "text", ["a >", "a := 1", "a b", "(a", "a)", "1 +* 2", "a; b", "yield a", "a = 1", "'a", "if a"]
)
def test_what_is_no_expression_is_refused(text: str) -> None:
    with pytest.raises(ExpressionError, match=r"column \d+: .*(read|not allowed)") as caught:
        compile_expression(text, NAMES)
    assert 1 <= caught.value.column <= len(text) + 1
    assert "numbers" in caught.value.cause.suggestion


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a" * 501, "501 characters"),
        (" + ".join(["1"] * 90), "179 parts"),
        ("-" * 30 + "a", "deeper than 20"),
        ("(" * 250 + "a" + ")" * 250, ""),
        ("not " * 120 + "a", ""),
        ("[" * 499, ""),
    ],
)
def test_the_limits_are_kept(text: str, why: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_expression(text, NAMES)
    assert why in str(caught.value)


def test_what_is_within_the_limits_is_allowed() -> None:
    assert value("-" * 19 + "a", a=1.0) == -1.0
    with pytest.raises(ExpressionError, match="deeper than 20"):
        compile_expression("-" * 20 + "a", NAMES)
    assert value(" + ".join(["a"] * 19), a=1.0) == 19.0
    assert value("1e15 + 0") == 1e15


def point(name: str, unit: str = "", kind: Type = Type.FLOAT) -> Point:
    return Point(name=name, unit=unit, type=kind)


POINTS = {
    "d.v": point("v", "V"),
    "d.mv": point("mv", "mV"),
    "d.i": point("i", "A"),
    "d.p": point("p", "W"),
    "d.t": point("t", "degC"),
    "d.k": point("k", "K"),
    "d.n": point("n"),
    "d.on": point("on", kind=Type.BOOL),
    "d.s": point("s", kind=Type.STRING),
}
SHORT = {address.partition(".")[2]: address for address in POINTS}


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("v", "V"),
        ("v + 1", "V"),
        ("1 + v", "V"),
        ("2 * v", "V"),
        ("v / 1000", "V"),
        ("v / i", "V / A"),
        ("1 / i", "1 / A"),
        ("v * i + p", "A * V"),
        ("sqrt(v * v)", "V"),
        ("abs(-v)", "V"),
        ("max(v, 3, 2)", "V"),
        ("min(3, v)", "V"),
        ("v if on else 3", "V"),
        ("t - 5", "°C"),
        ("1 + 2", ""),
        ("n * 2", ""),
        ("v > 3", ""),
        ("3 < v < 5", ""),
        ("v * i > p", ""),
        ("on == 1", ""),
        ("on and not (t > 3)", ""),
        ("s == 'ON'", ""),
        ("n and on", ""),
        ("d.v > 2", ""),
    ],
)
def test_the_unit_of_an_expression(text: str, unit: str) -> None:
    assert check_units(compile_expression(text, SHORT), POINTS) == unit


@pytest.mark.parametrize(
    ("text", "column", "why"),
    [
        ("v + i", 5, "is in A; the part before is in V"),
        ("v > mv", 5, "is in mV; the part before is in V"),
        ("t > k", 5, "is in K; the part before is in °C"),
        ("v > n", 5, "is without unit; the part before is in V"),
        ("max(v, 1, t)", 11, "is in °C"),
        ("v and on", 1, "is a value in V and neither true nor false"),
        ("not s", 5, "is a text"),
        ("on + 1", 1, "is a truth value, not a number"),
        ("s > 1", 1, "is a text, not a number"),
        ("s == 1", 6, "is a number; the part before is a text"),
        ("1 == s", 6, "is a text; the part before is a number"),
        ("on == s", 7, "is a text; the part before is a truth value"),
        ("v if t else v", 6, "neither true nor false"),
        ("d.x > 1", 1, "the point d.x, which is not described"),
    ],
)
def test_units_that_do_not_fit_are_refused(text: str, column: int, why: str) -> None:
    with pytest.raises(ExpressionError, match="column") as caught:
        check_units(compile_expression(text, SHORT), POINTS)
    assert why in str(caught.value)
    assert caught.value.column == column


def test_a_condition_is_true_or_false() -> None:
    check_condition(compile_expression("v > 1 or on", SHORT), POINTS)
    check_condition(compile_expression("on", SHORT), POINTS)
    with pytest.raises(ExpressionError, match="a value in V and neither true nor false"):
        check_condition(compile_expression("v + 1", SHORT), POINTS)
