"""The rules of the section as EPICS access security: who may write which process variable, and as whom. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase

from msgspec import Struct

from countingroom.core.points import Point
from countingroom.core.policy import Principal

ANY_HOST = "*"
READ_ONLY = "ASG(DEFAULT) { RULE(1, READ) }\n"
"""The access to all fields of all records without a rule. The field DISP alone would not do: a client can clear it."""


class WriteRule(Struct, frozen=True, kw_only=True):
    """Who may write some points."""

    points: tuple[str, ...]
    """Patterns of addresses."""
    hosts: tuple[str, ...]
    users: tuple[str, ...]
    """Empty: every one."""
    principal: Principal


class Access:
    """The rules, in their order: the first one that has a point counts."""

    def __init__(self, rules: Mapping[str, WriteRule]) -> None:
        self._rules = rules

    def rule_of(self, device: str, point: Point) -> str:
        """The rule by which the point can be written; empty: it cannot."""
        if not point.writable or point.command_only:
            return ""
        address = f"{device}.{point.name}"
        found = (
            name for name, rule in self._rules.items() if any(fnmatchcase(address, pattern) for pattern in rule.points)
        )
        return next(found, "")

    def principal(self, rule: str) -> Principal:
        """As whom the puts under this rule act."""
        return self._rules[rule].principal

    def group(self, rule: str) -> str:
        """The group of access security of its records: EPICS has 29 letters for it, and a rule may have more."""
        return f"write{list(self._rules).index(rule)}" if rule else ""

    def text(self) -> str:
        """The file of access security. VAL alone can be written: it is the only field of level 0."""
        parts = [READ_ONLY]
        for name, rule in self._rules.items():
            group, conditions = self.group(name), ""
            if ANY_HOST not in rule.hosts:
                parts.append(f"HAG({group}_hosts) {{ {_quoted(rule.hosts)} }}\n")
                conditions += f" HAG({group}_hosts)"
            if rule.users:
                parts.append(f"UAG({group}_users) {{ {_quoted(rule.users)} }}\n")
                conditions += f" UAG({group}_users)"
            limited = f" {{{conditions} }}" if conditions else ""
            parts.append(f"ASG({group}) {{ RULE(1, READ) RULE(0, WRITE, TRAPWRITE){limited} }}\n")
        return "".join(parts)


def _quoted(names: tuple[str, ...]) -> str:
    return ", ".join(f'"{name}"' for name in names)
