"""Reads the part of CSS that drawing programs write: rules for single classes, and the declarations of `style`. Pure.

Only names and values leave this module; whether a value is allowed is decided by allowed.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

_COMMENT = re.compile(r"/\*.*?(?:\*/|\Z)", re.DOTALL)
_CLASS = re.compile(r"\.([A-Za-z_][-\w]{0,80})")
_NAME = re.compile(r"[a-z][-a-z]{0,40}")


def declarations(text: str) -> Iterator[tuple[str, str]]:
    """(property, value) of `fill: #fff; stroke: none`."""
    for part in _COMMENT.sub("", text).split(";"):
        name, colon, value = part.partition(":")
        key = name.strip().lower()
        if colon and _NAME.fullmatch(key):
            yield key, value.strip()


def class_rules(text: str, is_right: Callable[[str, str], bool]) -> tuple[dict[str, dict[str, str]], list[str]]:
    """Class -> its properties that are right, and the selectors of the rules that are not for classes."""
    found: dict[str, dict[str, str]] = {}
    others: list[str] = []
    for rule in _COMMENT.sub("", text).split("}"):
        selectors, _, body = rule.partition("{")
        # Once for all its selectors: both may be thousands.
        is_plain = "{" not in body
        properties = {key: value for key, value in declarations(body) if is_right(key, value)} if is_plain else {}
        for selector in selectors.split(","):
            if (match := _CLASS.fullmatch(selector.strip())) and is_plain:
                found.setdefault(match[1], {}).update(properties)
            elif selector.strip():
                others.append(" ".join(selector.split()))
    return found, others
