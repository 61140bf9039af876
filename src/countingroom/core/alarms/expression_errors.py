"""The error of an expression that cannot be used: the column, the word, and what is allowed there. Pure."""

from __future__ import annotations

import ast
import re

from countingroom.core.errors import ConfigurationError


class ExpressionError(ConfigurationError):
    """The expression cannot be used. The message names column and word, and what is allowed there."""

    code = "expression"

    def __init__(self, why: str, *, column: int, word: str = "", allowed: str = "") -> None:
        self.column = column
        """From 1."""
        self.word = word
        place = f"column {column}: `{word}` " if word else f"column {column}: "
        super().__init__(
            f"{place}{why}",
            evidence={"column": column, "word": word},
            suggestion=f"allowed: {allowed}" if allowed else "correct the expression",
        )


def error_at(node: ast.expr, text: str, why: str, allowed: str) -> ExpressionError:
    """The error about one part of an expression."""
    data = text.encode()
    word = re.sub(r"\s", " ", data[node.col_offset : node.end_col_offset].decode(errors="ignore"))
    column = len(data[: node.col_offset].decode(errors="ignore")) + 1
    return ExpressionError(why, column=column, word=word if len(word) <= 30 else f"{word[:29]}…", allowed=allowed)
