"""Law: a parent's state is a total function of its children's: ordered rules, the first that holds decides, the last
always holds, and no children at all has an answer of its own.

A rule is written `("any ERROR", "ERROR")`. Conditions are `any A`, `all A`, `none A`, with several states as `A|B`,
joined by ` and `; the last rule is `("else", STATE)`. They look only at which states are present, never at how many
children are in them, so trying every set of states proves an aggregate for any number of children.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import combinations

from msgspec import Struct

from countingroom.core.errors import ConfigurationError

_QUANTIFIERS = ("any", "all", "none")


class Term(Struct, frozen=True, kw_only=True):
    """`any A|B`: some child is in one of them; `all`: every child is; `none`: no child is."""

    quantifier: str
    states: frozenset[str]

    def holds(self, present: Collection[str]) -> bool:
        """Whether it does for children whose states are these."""
        match self.quantifier:
            case "any":
                return any(state in self.states for state in present)
            case "all":
                return all(state in self.states for state in present)
            case _:
                return not any(state in self.states for state in present)


class Rule(Struct, frozen=True, kw_only=True):
    """When all terms hold, the parent is in `state`. Without terms it always holds: the else."""

    text: str
    terms: tuple[Term, ...]
    state: str

    def holds(self, present: Collection[str]) -> bool:
        """Whether it does for children whose states are these."""
        return all(term.holds(present) for term in self.terms)


class Verdict(Struct, frozen=True, kw_only=True):
    """The parent's state, the rule that gave it and the children that rule is about."""

    state: str
    rule: str
    because: tuple[str, ...] = ()
    """Names of the children in a state that an `any` or `all` of the rule names; empty for `else` and no children."""


class Aggregate(Struct, frozen=True, kw_only=True):
    """Rules in order. Made by `aggregate`, which checks them."""

    name: str
    rules: tuple[Rule, ...]
    empty: str
    """The parent's state when every child is excluded, or there is none."""

    def decide(self, children: Mapping[str, str], *, excluded: Collection[str] = ()) -> Verdict:
        """`children`: name -> state; those `excluded` do not count."""
        counted = {name: state for name, state in children.items() if name not in excluded}
        if not counted:
            return Verdict(state=self.empty, rule="no children")
        present = frozenset(counted.values())
        rule = next(rule for rule in self.rules if rule.holds(present))
        named = {state for term in rule.terms if term.quantifier != "none" for state in term.states}
        because = tuple(name for name, state in counted.items() if state in named)
        return Verdict(state=rule.state, rule=rule.text, because=because)

    def state(self, children: Mapping[str, str], *, excluded: Collection[str] = ()) -> str:
        """The parent's state alone."""
        return self.decide(children, excluded=excluded).state

    @property
    def states(self) -> tuple[str, ...]:
        """Every state the parent can be in, in order of first mention."""
        return tuple(dict.fromkeys([*(rule.state for rule in self.rules), self.empty]))


def aggregate(name: str, rules: Sequence[tuple[str, str]], *, empty: str) -> Aggregate:
    """Rules as (condition, state) pairs; ConfigurationError unless the last, and only the last, is `else`."""
    parsed = tuple(_rule(name, text, state) for text, state in rules)
    if not parsed or parsed[-1].terms:
        raise ConfigurationError(
            f"the last rule of {name} must be else, so that every combination of states has an answer",
            source=name,
            suggestion='end the rules with ("else", STATE)',
        )
    for rule in parsed[:-1]:
        if not rule.terms:
            raise ConfigurationError(f"else comes last in {name}: the rules after it can never decide", source=name)
    texts = [rule.text for rule in parsed]
    if repeated := next((text for text in texts if texts.count(text) > 1), ""):
        raise ConfigurationError(f"{name} has the rule `{repeated}` twice: the second can never decide", source=name)
    return Aggregate(name=name, rules=parsed, empty=empty)


def _rule(name: str, text: str, state: str) -> Rule:
    text = " ".join(text.split())
    if text == "else":
        return Rule(text=text, terms=(), state=state)
    return Rule(text=text, terms=tuple(_term(name, part) for part in text.split(" and ")), state=state)


def _term(name: str, text: str) -> Term:
    quantifier, _, names = text.partition(" ")
    states = [state.strip() for state in names.split("|")]
    if quantifier not in _QUANTIFIERS or not all(states) or any(" " in state for state in states):
        raise ConfigurationError(
            f"{name}: {text!r} is no condition",
            source=name,
            suggestion="write `any A`, `all A|B` or `none A`, joined by ` and `, or `else` as the last rule",
        )
    return Term(quantifier=quantifier, states=frozenset(states))


class Proof(Struct, frozen=True, kw_only=True):
    """What trying every set of child states has shown."""

    answers: dict[tuple[str, ...], str]
    """States present among the children, sorted -> the parent's state."""
    never: dict[str, tuple[str, ...]]
    """Rule (but else) that never decides -> the earlier rules that take its cases; none: nothing fulfils it."""
    left_to_else: tuple[tuple[str, ...], ...]
    """The combinations no rule names."""
    unknown: tuple[str, ...]
    """States that conditions name and no child can have."""
    complete: bool
    """Every combination was tried, so this holds for any number of children."""


def prove(subject: Aggregate, states: Iterable[str], *, up_to: int = 3) -> Proof:
    """Try every set of at most `up_to` different child states; complete where `up_to` reaches their number."""
    known = sorted(set(states))
    answers: dict[tuple[str, ...], str] = {}
    deciding: set[int] = set()
    shadows: dict[int, dict[str, None]] = {}
    left: list[tuple[str, ...]] = []
    for size in range(1, min(up_to, len(known)) + 1):
        for present in combinations(known, size):
            first, *others = (index for index, rule in enumerate(subject.rules) if rule.holds(present))
            answers[present] = subject.rules[first].state
            deciding.add(first)
            if not subject.rules[first].terms:
                left.append(present)
            for other in others:
                shadows.setdefault(other, {})[subject.rules[first].text] = None
    named = {state for rule in subject.rules for term in rule.terms for state in term.states}
    return Proof(
        answers=answers,
        never={
            rule.text: tuple(shadows.get(index, {}))
            for index, rule in enumerate(subject.rules)
            if rule.terms and index not in deciding
        },
        left_to_else=tuple(left),
        unknown=tuple(sorted(named - set(known))),
        complete=up_to >= len(known),
    )
