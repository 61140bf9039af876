"""Expressions over points, as conditions of alarms, interlocks and rules: `caen.voltage > 12.5 and not door`. Pure.
Values of derived points are expressions too.

A whitelist of Python's syntax becomes nested functions; nothing is ever given to `eval`. Values are numbers, truth
values and texts. What is not known (None: a stale, bad or missing value, NaN, a division by zero, an overflow, an
operation that the type of the value does not have) stays unknown, and `and`, `or`, `not` take it as the third truth
value of Kleene: `x and False` is False, `x or True` is True, whatever x is.

A point is written with its address, `marta.co2_temp`, or as `point("caen.0.lv_vMon")` where a part of the address is no
Python name, or with a short name from a table.
"""

from __future__ import annotations

import ast
import math
import operator
import re
import warnings
from collections.abc import Callable, Mapping
from typing import Any, cast

from countingroom.core.alarms.expression_errors import ExpressionError, error_at
from countingroom.core.alarms.expression_functions import CALLS, FUNCTIONS, NAMES
from countingroom.core.values import Scalar

MOST_CHARACTERS = 500
MOST_NODES = 100
MOST_DEPTH = 20
LARGEST_NUMBER = 1e15
ALLOWED = f"numbers, True, False, texts after == and !=, points, + - * /, comparisons, and, or, not, if else, {NAMES}"
ADDRESS = re.compile(r"[A-Za-z0-9_\-]+(\.[A-Za-z0-9_\-:/+@ ]+)+")

Values = Mapping[str, Scalar]
"""Address -> value; a point that is not in it is not known."""
Evaluated = Callable[[Values], Scalar]
_Condition = Callable[[Values], bool | None]


class Expression:
    """A compiled expression. `evaluate` is a pure function of the values of its points."""

    __slots__ = ("evaluate", "names", "references", "text", "tree")

    def __init__(
        self, text: str, tree: ast.expr, names: Mapping[str, str], references: tuple[str, ...], evaluate: Evaluated
    ) -> None:
        self.text = text
        self.tree = tree
        self.names = dict(names)
        """Short name -> address."""
        self.references = references
        """Addresses of its points, each once, in order of appearance."""
        self.evaluate = evaluate

    def condition(self, values: Values) -> bool | None:
        """Whether it is true; None: not known. A number counts as true when it is not 0."""
        return truth(self.evaluate(values))


def compile_expression(text: str, names: Mapping[str, str] | None = None) -> Expression:
    """Compile a text. `names`: short name -> address of a point. ExpressionError: it is refused."""
    names = names or {}
    tree, line = _parse(text)
    compiler = _Compiler(line, names)
    evaluate = compiler.compile(tree, 1)
    return Expression(text, tree, names, tuple(dict.fromkeys(compiler.references)), evaluate)


def compile_part(expression: Expression, node: ast.expr) -> Evaluated:
    """The function of one part of a compiled expression; `node` is in its tree."""
    return _Compiler(expression.text, expression.names).compile(node, 1, text_is_allowed=True)


def truth(value: Scalar) -> bool | None:
    """A value as truth value: a number is true when it is not 0; a text has none."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return None
    return None if math.isnan(value) else value != 0


def address_of(node: ast.expr, names: Mapping[str, str]) -> str:
    """The address of the point that a node of a compiled expression names; empty: it names none."""
    match node:
        case ast.Call(func=ast.Name(id="point"), args=[ast.Constant(value=str(address))]):
            return address
        case ast.Name(id=name):
            return names.get(name, "")
        case ast.Attribute():
            return ast.unparse(node)
        case _:
            return ""


def _parse(text: str) -> tuple[ast.expr, str]:
    if len(text) > MOST_CHARACTERS:
        raise ExpressionError(
            f"it has {len(text)} characters; {MOST_CHARACTERS} are allowed", column=MOST_CHARACTERS + 1
        )
    line = re.sub(r"\s", " ", text)
    stripped = line.lstrip(" ")  # of ASCII alone, so that its length is the same in characters and in bytes
    indent = len(line) - len(stripped)
    if not stripped:
        raise ExpressionError("it is empty", column=1, allowed=ALLOWED)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # odd text such as `1if x else 2`
            body = ast.parse(stripped, mode="eval").body
    except SyntaxError as error:
        column = indent + min(max(error.offset or 1, 1), len(stripped) + 1)
        word = re.match(r"\w*|.", line[column - 1 :])
        raise ExpressionError(
            f"cannot be read: {error.msg}", column=column, word=word.group() if word else "", allowed=ALLOWED
        ) from error
    except (ValueError, RecursionError, MemoryError, Warning) as error:
        raise ExpressionError(f"it cannot be read: {error}", column=1, allowed=ALLOWED) from error
    for node in ast.walk(body):
        if isinstance(node, ast.expr):
            node.col_offset += indent
            node.end_col_offset = (node.end_col_offset or 0) + indent
    rest = line.encode()[body.end_col_offset :].decode(errors="ignore")
    if rest.strip(" )"):
        column = len(line) - len(rest.lstrip(" )")) + 1
        raise ExpressionError("is a comment", column=column, word=rest.strip(" )")[:20], allowed=ALLOWED)
    if (nodes := sum(isinstance(node, ast.expr) for node in ast.walk(body))) > MOST_NODES:
        raise ExpressionError(f"it has {nodes} parts; {MOST_NODES} are allowed", column=1)
    return body, line


_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: lambda one, other: one / other,
}
_ORDER: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_EQUALITY: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {ast.Eq: operator.eq, ast.NotEq: operator.ne}


class _Compiler:
    """Makes nested functions of one tree."""

    def __init__(self, line: str, names: Mapping[str, str]) -> None:
        self.references: list[str] = []
        self._line = line
        self._names = names

    def compile(self, node: ast.expr, depth: int, *, text_is_allowed: bool = False) -> Evaluated:
        """The function of a node."""
        if depth > MOST_DEPTH:
            raise self._error(node, f"is nested deeper than {MOST_DEPTH} levels", "")
        match node:
            case ast.Constant(value=value):
                return self._constant(node, value, text_is_allowed)
            case ast.Name() | ast.Attribute():
                return self._read(self._address(node))
            case ast.Call():
                return self._call(node, depth)
            case ast.UnaryOp(op=ast.Not()):
                return _not(self._logic(node.operand, depth + 1))
            case ast.UnaryOp(op=ast.USub() | ast.UAdd()):
                return _of_numbers(
                    operator.neg if isinstance(node.op, ast.USub) else operator.pos,
                    [self.compile(node.operand, depth + 1)],
                )
            case ast.BinOp() if type(node.op) in _ARITHMETIC:
                left, right = self.compile(node.left, depth + 1), self.compile(node.right, depth + 1)
                return _of_two_numbers(_ARITHMETIC[type(node.op)], left, right)
            case ast.BoolOp():
                conditions = [self._logic(part, depth + 1) for part in node.values]
                return _all(conditions) if isinstance(node.op, ast.And) else _any(conditions)
            case ast.Compare():
                return self._compare(node, depth)
            case ast.IfExp():
                test = self._logic(node.test, depth + 1)
                return _choice(test, self.compile(node.body, depth + 1), self.compile(node.orelse, depth + 1))
            case _:
                raise self._error(node, "is not allowed", ALLOWED)

    def _logic(self, node: ast.expr, depth: int) -> _Condition:
        """The function of a node as a truth value."""
        part = self.compile(node, depth)
        if isinstance(node, ast.Compare | ast.BoolOp) or (
            isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)
        ):
            return cast(_Condition, part)  # they give nothing else
        return lambda values: truth(part(values))

    def _constant(self, node: ast.expr, value: object, text_is_allowed: bool) -> Evaluated:
        if isinstance(value, str) and text_is_allowed:
            return lambda values: value
        if isinstance(value, bool):
            return lambda values: value
        if isinstance(value, (int, float)):
            if not abs(value) <= LARGEST_NUMBER:
                raise self._error(node, "is too large", f"numbers up to {LARGEST_NUMBER:g}")
            return lambda values: value
        raise self._error(node, "is not allowed", ALLOWED)

    def _address(self, node: ast.Name | ast.Attribute) -> str:
        if isinstance(node, ast.Name):
            if node.id in self._names:
                return self._names[node.id]
            known = ", ".join(sorted(self._names)) or "addresses with a dot, as caen.voltage"
            raise self._error(node, "is no name of this expression", known)
        part: ast.expr = node
        while isinstance(part, ast.Attribute):
            if part.attr.startswith("__"):
                raise self._error(node, "is no address of a point", "device.point")
            part = part.value
        if not isinstance(part, ast.Name):
            raise self._error(node, "is no address of a point", "device.point")
        if part.id in self._names or part.id.startswith("__"):
            raise self._error(node, "is no address of a point: its beginning is a short name", "device.point")
        return ast.unparse(node)

    def _read(self, address: str) -> Evaluated:
        self.references.append(address)

        def read(values: Values) -> Scalar:
            value = values.get(address)
            if value.__class__ is float and not math.isfinite(value):  # type: ignore[arg-type]
                return None
            return value

        return read

    def _call(self, node: ast.Call, depth: int) -> Evaluated:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if node.keywords or not (name == "point" or name in FUNCTIONS):
            raise self._error(node, "is not allowed", f"point(…), {CALLS}")
        if name == "point":
            address = address_of(node, {})
            if not ADDRESS.fullmatch(address):
                raise self._error(node, "names no point", 'an address in quotes, as point("caen.0.lv_vMon")')
            return self._read(address)
        function = FUNCTIONS[name]
        if not function.takes(len(node.args)):
            raise self._error(node, "has the wrong number of values", f"{name} with {function.values}")
        return _of_numbers(function.call, [self.compile(part, depth + 1) for part in node.args])

    def _compare(self, node: ast.Compare, depth: int) -> Evaluated:
        operands = [node.left, *node.comparators]
        functions: list[tuple[Callable[[Any, Any], bool], bool]] = []
        for place, op in enumerate(node.ops):
            if type(op) not in _ORDER and type(op) not in _EQUALITY:
                raise self._error(operands[place], "is followed by a comparison that is not allowed", "< <= > >= == !=")
            functions.append((_ORDER.get(type(op)) or _EQUALITY[type(op)], type(op) in _ORDER))
        is_equality = all(not is_order for _, is_order in functions)
        parts = [self.compile(part, depth + 1, text_is_allowed=is_equality) for part in operands]
        pairs: list[_Condition] = []
        for place, (function, is_order) in enumerate(functions):
            right = operands[place + 1]
            if is_order and isinstance(right, ast.Constant) and isinstance(right.value, (int, float)):
                pairs.append(_beyond(function, parts[place], right.value))
            else:
                compare = _order if is_order else _equality
                pairs.append(compare(function, parts[place], parts[place + 1]))
        return pairs[0] if len(pairs) == 1 else _all(pairs)

    def _error(self, node: ast.expr, why: str, allowed: str) -> ExpressionError:
        return error_at(node, self._line, why, allowed)


def _is_number(value: Scalar) -> bool:
    return value.__class__ is float or value.__class__ is int


def _of_numbers(function: Callable[..., Any], parts: list[Evaluated]) -> Evaluated:
    def apply(values: Values) -> Scalar:
        numbers = [part(values) for part in parts]
        for number in numbers:
            if not _is_number(number):
                return None
        try:
            result = function(*numbers)
            return result if math.isfinite(result) else None
        except (ArithmeticError, ValueError):
            return None  # division by zero, overflow, the root of a negative number

    return apply


def _of_two_numbers(function: Callable[[Any, Any], Any], left: Evaluated, right: Evaluated) -> Evaluated:
    def apply(values: Values) -> Scalar:
        one, other = left(values), right(values)
        if (one.__class__ is not float and one.__class__ is not int) or (
            other.__class__ is not float and other.__class__ is not int
        ):
            return None
        try:
            result = function(one, other)
            return result if math.isfinite(result) else None
        except ArithmeticError:
            return None

    return apply


def _order(function: Callable[[Any, Any], bool], left: Evaluated, right: Evaluated) -> _Condition:
    def compare(values: Values) -> bool | None:
        one, other = left(values), right(values)
        return function(one, other) if _is_number(one) and _is_number(other) else None

    return compare


def _beyond(function: Callable[[Any, Any], bool], left: Evaluated, number: float) -> _Condition:
    """As `_order` with a number of the expression at the right, which is what most comparisons are."""
    if isinstance(number, bool):
        return lambda values: None

    def compare(values: Values) -> bool | None:
        one = left(values)
        return function(one, number) if one.__class__ is float or one.__class__ is int else None

    return compare


def _equality(function: Callable[[Any, Any], bool], left: Evaluated, right: Evaluated) -> _Condition:
    def compare(values: Values) -> bool | None:
        one, other = left(values), right(values)
        if one is None or other is None or isinstance(one, str) is not isinstance(other, str):
            return None
        return function(one, other)

    return compare


def _not(part: _Condition) -> _Condition:
    def negate(values: Values) -> bool | None:
        found = part(values)
        return None if found is None else not found

    return negate


def _all(parts: list[_Condition]) -> _Condition:
    def all_of(values: Values) -> bool | None:
        result: bool | None = True
        for part in parts:
            found = part(values)
            if found is False:
                return False
            if found is None:
                result = None
        return result

    return all_of


def _any(parts: list[_Condition]) -> _Condition:
    def any_of(values: Values) -> bool | None:
        result: bool | None = False
        for part in parts:
            found = part(values)
            if found is True:
                return True
            if found is None:
                result = None
        return result

    return any_of


def _choice(test: _Condition, then: Evaluated, other: Evaluated) -> Evaluated:
    def choose(values: Values) -> Scalar:
        found = test(values)
        return None if found is None else then(values) if found else other(values)

    return choose
