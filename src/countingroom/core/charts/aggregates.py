"""The state of a parent computed from the states of its children, by an ordered list of rules.

The first rule whose condition is met gives the state. The last rule is `("else", STATE)`, so that every combination has
an answer; a parent without children has a separate state, `empty`. A rule is written `("any ERROR", "ERROR")`.
Conditions are `any A`, `all A` and `none A`, with several states as `A|B`, joined by ` and `.

A condition depends only on which states are present, not on the number of children in each. Therefore `prove` can check
an aggregate for any number of children by trying every set of states.
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
        """Whether the term is true for children in these states."""
        match self.quantifier:
            case "any":
                return any(state in self.states for state in present)
            case "all":
                return all(state in self.states for state in present)
            case _:
                return not any(state in self.states for state in present)


class Rule(Struct, frozen=True, kw_only=True):
    """When all terms are true, the parent is in `state`. The else rule has no terms and is always true."""

    text: str
    terms: tuple[Term, ...]
    state: str

    def holds(self, present: Collection[str]) -> bool:
        """Whether the condition is true for children in these states."""
        return all(term.holds(present) for term in self.terms)


class Verdict(Struct, frozen=True, kw_only=True):
    """The state of the parent, the rule that gave it, and the children that the rule names."""

    state: str
    rule: str
    because: tuple[str, ...] = ()
    """Children in a state of the rule's `any` and `all` terms; empty for `else` and without children."""


class Aggregate(Struct, frozen=True, kw_only=True):
    """Rules in order. Created by `aggregate`, which checks them."""

    name: str
    rules: tuple[Rule, ...]
    empty: str
    """The state of a parent without children, or with all children excluded."""

    def decide(self, children: Mapping[str, str], *, excluded: Collection[str] = ()) -> Verdict:
        """The state for `children` (name -> state), without the `excluded` ones."""
        counted = {name: state for name, state in children.items() if name not in excluded}
        if not counted:
            return Verdict(state=self.empty, rule="no children")
        present = frozenset(counted.values())
        rule = next(rule for rule in self.rules if rule.holds(present))
        named = {state for term in rule.terms if term.quantifier != "none" for state in term.states}
        because = tuple(name for name, state in counted.items() if state in named)
        return Verdict(state=rule.state, rule=rule.text, because=because)

    def state(self, children: Mapping[str, str], *, excluded: Collection[str] = ()) -> str:
        """The state without rule and children."""
        return self.decide(children, excluded=excluded).state

    @property
    def states(self) -> tuple[str, ...]:
        """All states that the parent can have, in the order of the rules."""
        return tuple(dict.fromkeys([*(rule.state for rule in self.rules), self.empty]))


def aggregate(name: str, rules: Sequence[tuple[str, str]], *, empty: str) -> Aggregate:
    """An Aggregate from (condition, state) pairs. ConfigurationError unless exactly the last rule is `else`."""
    parsed = tuple(_rule(name, text, state) for text, state in rules)
    if not parsed or parsed[-1].terms:
        raise ConfigurationError(
            f"the last rule of {name} must be else, so that every combination of states has a result",
            source=name,
            suggestion='end the rules with ("else", STATE)',
        )
    for rule in parsed[:-1]:
        if not rule.terms:
            raise ConfigurationError(f"{name} has rules after else, which can never apply", source=name)
    texts = [rule.text for rule in parsed]
    if repeated := next((text for text in texts if texts.count(text) > 1), ""):
        raise ConfigurationError(f"{name} has the rule `{repeated}` twice; the second can never apply", source=name)
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
            f"{name}: {text!r} is not a condition",
            source=name,
            suggestion="write `any A`, `all A|B` or `none A`, joined by ` and `, or `else` as the last rule",
        )
    return Term(quantifier=quantifier, states=frozenset(states))


class Proof(Struct, frozen=True, kw_only=True):
    """Result of `prove`: what the rules give for every tried set of child states."""

    answers: dict[tuple[str, ...], str]
    """Set of states present among the children, sorted -> state of the parent."""
    never: dict[str, tuple[str, ...]]
    """Rule that never applies (without else) -> the earlier rules that apply in its cases; empty: never true at all."""
    left_to_else: tuple[tuple[str, ...], ...]
    """The sets of states that only the else rule covers."""
    unknown: tuple[str, ...]
    """States in conditions that no child can have."""
    complete: bool
    """All sets were tried, so the result is valid for any number of children."""


def prove(subject: Aggregate, states: Iterable[str], *, up_to: int = 3) -> Proof:
    """Evaluate the rules for every set of at most `up_to` different child states.

    The result is complete when `up_to` is at least the number of states. The cost grows as the number of such sets.
    """
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
