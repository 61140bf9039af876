"""Words in braces in the arguments of programs: `{tag}`, `{run}`, and the parameters of a configuration."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence

from countingroom.core.yaml.validation_errors import did_you_mean
from countingroom.runs.sections.agent import AgentSection, CalibrationAgent, ScriptAgent

WORDS = ("system", "partition", "action", "step", "tag", "run")
"""What every program of an agent gets, beside the parameters of its configuration."""
HOOK_WORDS = ("partition", "run", "tag", "goal")
"""What the program of a hook gets."""
WORD = re.compile(r"\{(\w+)\}")

Path = tuple[str | int, ...]


def unknown_words(agent: AgentSection, parameters: Iterable[str]) -> Iterator[tuple[Path, str]]:
    """The place within the section and the reason for each word that the programs of an agent do not get."""
    match agent:
        case ScriptAgent():
            one = {"start": agent.start, "stop": agent.stop, "reconfigure": agent.reconfigure, "abort": agent.abort}
            known = {*WORDS, *parameters}
        case CalibrationAgent():
            one = {"command": agent.command}
            known = {*WORDS, "results", *parameters}
        case _:
            return
    for index, argv in enumerate(agent.configure):
        yield from unknown(("configure", index), argv, known)
    for key, given in one.items():
        yield from unknown((key,), given or (), known)


def unknown(path: Path, argv: Sequence[str], known: Collection[str]) -> Iterator[tuple[Path, str]]:
    """The place and the reason for each word of an argument list that is not known."""
    for index, argument in enumerate(argv):
        for word in WORD.findall(argument):
            if word not in known:
                hint = did_you_mean(word, known)
                yield (*path, index), f"{{{word}}} is replaced by nothing{hint}; there are {', '.join(sorted(known))}"
