"""Checks the section `mirror`: whether its approved templates can be read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from countingroom.core.errors import ConfigurationError
from countingroom.core.mirror.upstream_policy import UPSTREAM_POLICY
from countingroom.core.yaml.located import Problem
from countingroom.experiment import Loaded
from countingroom.mirror.description import MirrorSection
from countingroom.mirror.template_files import read_templates


def mirror_problems(loaded: Loaded) -> Iterator[Problem]:
    """Files of templates that cannot be read, with the line that is wrong."""
    section = loaded.experiment.section(MirrorSection)
    folder = Path(loaded.located.values[()].file).parent
    for number, path in enumerate(section.templates):
        try:
            read_templates([folder / path])
        except ConfigurationError as error:
            yield loaded.problem(("mirror", "templates", number), f"{error.cause.source}: {error.cause.message}")


def mirror_warnings(loaded: Loaded) -> Iterator[Problem]:
    """A log that is published without any approved template: none of its lines leaves."""
    section = loaded.experiment.section(MirrorSection)
    if not section.templates:
        unread = UPSTREAM_POLICY.keys() if not section.upstreams else ()
        for kind, fields in section.publish.items():
            if kind in unread:
                continue
            for name, one in fields.items():
                if one.log:
                    message = (
                        "no line leaves before its template is approved: on the page Log lines, or in a file that "
                        "mirror.templates names"
                    )
                    yield loaded.problem(("mirror", "publish", kind, name), message)
