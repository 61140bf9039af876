"""The difference of two revisions of a configuration, as rows for every parameter that either has. Pure."""

from __future__ import annotations

from msgspec import Struct

from countingroom.core.configurations import ConfigurationRevision, ParameterChange, compare_parameters


class ParameterDifference(ParameterChange, frozen=True, kw_only=True):
    """One parameter in both revisions, also where it is the same."""

    same: bool = False


class RevisionDifference(Struct, frozen=True, kw_only=True):
    """Two revisions and their parameters, sorted by name."""

    ends: tuple[ConfigurationRevision, ConfigurationRevision]
    rows: tuple[ParameterDifference, ...]

    @property
    def changed(self) -> tuple[ParameterDifference, ...]:
        """The parameters that differ."""
        return tuple(row for row in self.rows if not row.same)


def difference(before: ConfigurationRevision, after: ConfigurationRevision) -> RevisionDifference:
    """Compare them. `1`, `1.0` and `true` are different values; a deleted revision has no parameters."""
    one = {} if before.deleted else before.parameters
    other = {} if after.deleted else after.parameters
    changed = {change.name: change for change in compare_parameters(one, other)}
    rows = [
        ParameterDifference(
            name=name,
            before=one.get(name),
            after=other.get(name),
            same=name not in changed,
            added=name not in one,
            removed=name not in other,
        )
        for name in sorted({*one, *other})
    ]
    return RevisionDifference(ends=(before, after), rows=tuple(rows))
