"""Random expressions against a plain evaluator that walks the tree; random texts, which are refused or have a value."""

from __future__ import annotations

import ast
import math
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from countingroom.core.alarms.expression_errors import ExpressionError
from countingroom.core.alarms.expressions import compile_expression
from countingroom.core.values import Scalar

NAMES = {"a": "d.a", "b": "d.b", "c": "d.c"}


class Unknown(Exception):
    """The value of a part is not known."""


def walk(node: Any, values: dict[str, Scalar]) -> Any:
    """The plain evaluator: exceptions for what is unknown, one operation at a time, truth values as they come."""
    match node:
        case ast.Constant(value=value):
            return value
        case ast.Name(id=name):
            return known(values.get(NAMES[name]))
        case ast.BoolOp(op=op, values=parts):
            found = [logic(part, values) for part in parts]
            decisive = isinstance(op, ast.Or)
            return decisive if decisive in found else known(None if None in found else not decisive)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return not known(logic(operand, values))
        case ast.UnaryOp(op=op, operand=operand):
            return number(walk(operand, values)) * (-1 if isinstance(op, ast.USub) else 1)
        case ast.IfExp(test=test, body=body, orelse=other):
            return walk(body if known(logic(test, values)) else other, values)
        case ast.Compare(left=left, ops=ops, comparators=others):
            pairs = zip([left, *others], ops, others, strict=False)
            found = [
                attempt(lambda pair=pair: compare(pair[1], walk(pair[0], values), walk(pair[2], values)))
                for pair in pairs
            ]
            return False if False in found else known(None if None in found else True)
        case ast.BinOp(op=op, left=left, right=right):
            return number(arithmetic(op, number(walk(left, values)), number(walk(right, values))))
        case ast.Call(func=ast.Name(id=name), args=args):
            numbers = [number(walk(arg, values)) for arg in args]
            return {"abs": abs, "min": min, "max": max, "sqrt": lambda *_: root(numbers[0])}[name](*numbers)
        case _:
            raise AssertionError(ast.dump(node))


def attempt(call: Any) -> Any:
    try:
        return call()
    except Unknown:
        return None


def logic(node: ast.expr, values: dict[str, Scalar]) -> bool | None:
    found = attempt(lambda: walk(node, values))
    return None if found is None or isinstance(found, str) else bool(found)


def known(value: Any) -> Any:
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        raise Unknown
    return value


def number(value: Any) -> Any:
    if isinstance(value, (bool, str)):
        raise Unknown
    return known(value)


def root(value: float) -> float:
    if value < 0:
        raise Unknown
    return value**0.5


def arithmetic(op: ast.operator, one: float, other: float) -> float:
    if isinstance(op, ast.Div):
        if other == 0:
            raise Unknown
        return one / other
    return one * other if isinstance(op, ast.Mult) else one + other * (1 if isinstance(op, ast.Add) else -1)


def compare(op: ast.cmpop, one: Any, other: Any) -> bool:
    if isinstance(op, ast.Eq | ast.NotEq):
        if isinstance(one, str) != isinstance(other, str):
            raise Unknown
        return (one == other) == isinstance(op, ast.Eq)
    one, other = number(one), number(other)
    return {ast.Lt: one < other, ast.LtE: one <= other, ast.Gt: one > other, ast.GtE: one >= other}[type(op)]


def joined(*parts: Any) -> st.SearchStrategy[str]:
    return st.tuples(*(st.just(one) if isinstance(one, str) else one for one in parts)).map("".join)


ATOMS = st.sampled_from(["a", "b", "c", "True", "False", "0", "1", "2.5", "1e15"])
ORDER = st.sampled_from([" < ", " <= ", " > ", " >= ", " == ", " != "])


def larger(part: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        joined("(", part, st.sampled_from([" + ", " - ", " * ", " / ", " and ", " or "]), part, ")"),
        joined("(", part, st.sampled_from([" and ", " or "]), part, st.sampled_from([" and ", " or "]), part, ")"),
        joined("(", part, ORDER, part, ")"),
        joined("(", part, ORDER, part, ORDER, part, ")"),
        joined("(", part, st.sampled_from([" == ", " != "]), "'ON')"),
        joined(st.sampled_from(["(-", "(+", "(not ", "abs(", "sqrt("]), part, ")"),
        joined(st.sampled_from(["min(", "max("]), part, ", ", part, ")"),
        joined("(", part, " if ", part, " else ", part, ")"),
    )


TEXTS = st.recursive(ATOMS, larger, max_leaves=12)
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([0, 1, 2.5, -1.0, "ON", "OFF", float("nan"), float("inf"), 1e300, (1 << 63) - 1]),
    st.floats(-10, 10),
)


@settings(max_examples=400, deadline=None)
@given(TEXTS, VALUES, VALUES, VALUES)
@example("(not (a > 1))", float("nan"), None, None)
@example("(a and (b or c))", None, False, False)
def test_an_expression_has_the_value_that_the_plain_evaluator_finds(text: str, a: Scalar, b: Scalar, c: Scalar) -> None:
    values = {"d.a": a, "d.b": b, "d.c": c}
    try:
        compiled = compile_expression(text, NAMES)
    except ExpressionError:
        assert len(text) > 400 or len(list(ast.walk(ast.parse(text)))) > 100 or "(" * 8 in text
        return
    try:
        expected = attempt(lambda: walk(ast.parse(text, mode="eval").body, values))
    except OverflowError:
        expected = None
        assert compiled.evaluate(values) in (None, True, False)
        return
    found = compiled.evaluate(values)
    if isinstance(expected, float) and not isinstance(found, bool) and found is not None:
        assert math.isclose(float(found), expected, rel_tol=1e-12)
    else:
        assert found == expected
        assert isinstance(found, bool) == isinstance(expected, bool)


CHARACTERS = "abc+-*/%<>=!().,[]{}:#'\"\\@^&|~ \n\t\x00é\u202e²\ud800"
PIECES = "and |or |not |if |else |lambda |for |in |is |**|//|1e9|0x|1_0|point(|abs(|min(|'d.a'|__class__|import|yield "
WORDS = st.sampled_from([*CHARACTERS, *PIECES.split("|"), "9" * 30, "f'{a}'", "...", "None", ":=", "True"])


@settings(max_examples=400, deadline=None)
@given(st.lists(WORDS, max_size=40).map("".join) | st.text(max_size=60))
def test_any_text_is_refused_or_has_a_value(text: str) -> None:
    try:
        compiled = compile_expression(text, NAMES)
    except ExpressionError as error:
        assert 1 <= error.column <= len(text) + 1
        assert error.cause.suggestion
        return
    assert isinstance(compiled.evaluate({"d.a": 1.0, "d.b": 0}), (bool, int, float, str, type(None)))
