"""Finds the part of an expression that has no value although its points have values, such as a division by zero. Pure.

It is called only after an evaluation gave None, because it evaluates part by part and costs several times as much.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence

from countingroom.core.alarms.expression_errors import error_at
from countingroom.core.alarms.expression_functions import FUNCTIONS
from countingroom.core.alarms.expressions import Expression, Values, address_of, compile_part, truth
from countingroom.core.values import Scalar


def failure(expression: Expression, values: Values) -> str:
    """Why the expression has no value: ``column 1: `a / b` is a division by zero``."""
    return _Search(expression, values).of(expression.tree)


class _Search:
    def __init__(self, expression: Expression, values: Values) -> None:
        self._expression = expression
        self._values = values

    def of(self, node: ast.expr) -> str:
        for part in self._parts(node):
            if self._value(part) is None:
                return self.of(part)
        return error_at(node, self._expression.text, self._why(node), "").cause.message

    def _value(self, node: ast.expr) -> Scalar:
        return compile_part(self._expression, node)(self._values)

    def _parts(self, node: ast.expr) -> Sequence[ast.expr]:
        """The parts whose values the value of this node is made of."""
        match node:
            case ast.Call() if not address_of(node, self._expression.names):
                return node.args
            case ast.UnaryOp():
                return [node.operand]
            case ast.BinOp():
                return [node.left, node.right]
            case ast.BoolOp():
                return node.values
            case ast.Compare():
                return [node.left, *node.comparators]
            case ast.IfExp():
                return [node.test, node.body if truth(self._value(node.test)) else node.orelse]
            case _:
                return []

    def _why(self, node: ast.expr) -> str:
        match node:
            case ast.Call(func=ast.Name(id=name)) if name in FUNCTIONS and self._are_numbers(node):
                return f"is given {FUNCTIONS[name].fails}"
            case ast.BinOp(op=ast.Div()) if self._are_numbers(node) and self._value(node.right) == 0:
                return "is a division by zero"
            case ast.BinOp() if self._are_numbers(node):
                return "is too large"
            case ast.Name() | ast.Attribute() | ast.Call():
                return "has no value"
            case _:
                return "is given a value that is no number"

    def _are_numbers(self, node: ast.expr) -> bool:
        values = [self._value(part) for part in self._parts(node)]
        return all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values)
