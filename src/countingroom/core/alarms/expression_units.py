"""Units of expressions, checked once when a description is read: never while a condition is evaluated.

A value is always in the unit of its point and nothing is converted at run time, so both sides of `+`, `-` and of a
comparison must have the same unit. A number that stands in the expression has the unit of what it is compared with.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from countingroom.core import units
from countingroom.core.alarms.expression_errors import ExpressionError, error_at
from countingroom.core.alarms.expressions import Expression, address_of
from countingroom.core.points import Point, Type


class _Plain(StrEnum):
    """The types of values without a unit."""

    TRUTH = "a truth value"
    TEXT = "a text"
    NUMBER = "a number"
    """One of the expression itself: it takes any unit."""


def check_units(expression: Expression, points: Mapping[str, Point]) -> str:
    """The unit of the result; empty for a truth value, a text or a number without unit.

    `points`: address -> point. ExpressionError: a point is not there, or units or types do not fit together.
    """
    found = _Checker(expression, points).of(expression.tree)
    return "" if isinstance(found, _Plain) or found == units.unit("") else f"{found:~}"


def check_condition(expression: Expression, points: Mapping[str, Point]) -> None:
    """ExpressionError, as of `check_units`; also where the result is no truth value and no number without unit."""
    checker = _Checker(expression, points)
    checker.truth(expression.tree)


def check_result(expression: Expression, points: Mapping[str, Point], *, unit: str, is_number: bool) -> None:
    """ExpressionError, as of `check_units`; also where the result is no number in this unit, or no truth value.

    A number of the expression can be a factor from one unit to another, so with one only the dimension is compared.
    """
    if not is_number:
        check_condition(expression, points)
        return
    checker = _Checker(expression, points)
    tree = expression.tree
    found, wanted = checker.of(tree), units.unit(unit)
    if found is _Plain.NUMBER:
        return
    if isinstance(found, _Plain):
        raise error_at(tree, expression.text, f"is {found.value}, not a number", "a number, or `type: bool`")
    is_difference = isinstance(tree, ast.BinOp) and isinstance(tree.op, ast.Sub)
    if _is_same(found, wanted) or (is_difference and _is_same(units.difference(found), wanted)):
        return
    has_factor = any(isinstance(one, ast.Constant) and not isinstance(one.value, str) for one in ast.walk(tree))
    if has_factor and units.is_of_dimension(found, wanted):
        return
    shown = f"in {unit}" if unit else "without unit"
    raise error_at(tree, expression.text, f"is {_said(found)}, and the point {shown}", "one unit for both")


class _Checker:
    def __init__(self, expression: Expression, points: Mapping[str, Point]) -> None:
        self._expression = expression
        self._points = points

    def of(self, node: ast.expr) -> Any:
        """The Pint unit of a number, or a _Plain."""
        match node:
            case ast.Constant(value=bool()):
                return _Plain.TRUTH
            case ast.Constant(value=str()):
                return _Plain.TEXT
            case ast.Constant():
                return _Plain.NUMBER
            case ast.UnaryOp(op=ast.Not()):
                self.truth(node.operand)
                return _Plain.TRUTH
            case ast.UnaryOp():
                return self._number(node.operand)
            case ast.BinOp(op=ast.Add() | ast.Sub()):
                return self._same([node.left, node.right])
            case ast.BinOp():
                return self._product(node)
            case ast.BoolOp():
                for part in node.values:
                    self.truth(part)
                return _Plain.TRUTH
            case ast.Compare():
                self._compared(node)
                return _Plain.TRUTH
            case ast.IfExp():
                self.truth(node.test)
                return self._same([node.body, node.orelse], any_type=True)
            case ast.Call(func=ast.Name(id="sqrt")):
                root = self._number(node.args[0])
                return root if root is _Plain.NUMBER else root**0.5
            case ast.Call(func=ast.Name(id="abs" | "min" | "max" | "mean" | "clamp")):
                return self._same(node.args)
            case ast.Call(func=ast.Name(id="exp" | "log" | "log10")):
                return self._plain(node.args[0])
            case ast.Call(func=ast.Name(id="dew_point")):
                self._in(node.args[0], "degC")
                self._in(node.args[1], "percent")
                return units.unit("degC")
            case _:
                return self._of_point(node)

    def truth(self, node: ast.expr) -> None:
        """ExpressionError if a part is not a truth value."""
        found = self.of(node)
        if found is _Plain.TEXT:
            raise self._error(node, "is a text and neither true nor false", "a comparison, as state == 'ON'")
        if not isinstance(found, _Plain) and found != units.unit(""):
            raise self._error(node, f"is a value in {found:~} and neither true nor false", "a comparison, as a > 5")

    def _of_point(self, node: ast.expr) -> Any:
        address = address_of(node, self._expression.names)
        point = self._points.get(address)
        if point is None:
            raise self._error(node, f"names the point {address}, which is not described", "a point of a device")
        if point.type is Type.BOOL:
            return _Plain.TRUTH
        return _Plain.TEXT if point.type is Type.STRING else units.unit(point.unit)

    def _number(self, node: ast.expr) -> Any:
        found = self.of(node)
        if found is _Plain.TRUTH or found is _Plain.TEXT:
            raise self._error(node, f"is {found.value}, not a number", "numbers")
        return found

    def _plain(self, node: ast.expr) -> Any:
        """ExpressionError if a number has a unit."""
        found = self._number(node)
        if found is not _Plain.NUMBER and found != units.unit(""):
            raise self._error(node, f"is {_said(found)}", "a number without unit: divide it by one of the same unit")
        return found

    def _in(self, node: ast.expr, unit: str) -> None:
        """ExpressionError if a number has a unit other than this one."""
        found = self._number(node)
        if found is not _Plain.NUMBER and not _is_same(found, units.unit(unit)):
            raise self._error(node, f"is {_said(found)}", f"a value in {unit}")

    def _same(self, nodes: list[ast.expr], *, any_type: bool = False) -> Any:
        """The one unit of all; numbers of the expression itself take it."""
        known: Any = None
        for node in nodes:
            found = self.of(node) if any_type else self._number(node)
            if known is None or known is _Plain.NUMBER:
                if known is _Plain.NUMBER and isinstance(found, _Plain) and found is not _Plain.NUMBER:
                    raise self._error(node, f"is {found.value}; the part before is a number", "numbers")
                known = found
            elif found is not _Plain.NUMBER and not _is_same(found, known):
                raise self._error(node, f"is {_said(found)}; the part before is {_said(known)}", "equal units")
            elif found is _Plain.NUMBER and isinstance(known, _Plain):
                raise self._error(node, f"is a number; the part before is {known.value}", known.value)
        return known

    def _product(self, node: ast.BinOp) -> Any:
        left, right = self._number(node.left), self._number(node.right)
        if left is _Plain.NUMBER and right is _Plain.NUMBER:
            return left
        none = units.unit("")
        left = none if left is _Plain.NUMBER else left
        right = none if right is _Plain.NUMBER else right
        return left * right if isinstance(node.op, ast.Mult) else left / right

    def _compared(self, node: ast.Compare) -> None:
        operands = [node.left, *node.comparators]
        is_order = not all(isinstance(op, ast.Eq | ast.NotEq) for op in node.ops)
        kinds = [self.of(one) for one in operands]
        # A flag may be compared with 0 and 1.
        if not is_order and all(kind is _Plain.TRUTH or kind is _Plain.NUMBER for kind in kinds):
            return
        self._same(operands, any_type=not is_order)

    def _error(self, node: ast.expr, why: str, allowed: str) -> ExpressionError:
        return error_at(node, self._expression.text, why, allowed)


def _is_same(one: Any, other: Any) -> bool:
    if isinstance(one, _Plain) or isinstance(other, _Plain):
        return one is other
    return units.is_same(one, other)


def _said(found: Any) -> str:
    if isinstance(found, _Plain):
        return found.value
    return "without unit" if found == units.unit("") else f"in {found:~}"
