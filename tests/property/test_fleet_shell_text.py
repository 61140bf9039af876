"""No value that is sent to the shell of a node is ever read as shell, and its log stays within its bound."""

from __future__ import annotations

import subprocess
import time
from importlib.resources import as_file, files
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from countingroom.core.errors import ConfigurationError
from countingroom.core.fleet.node_answers import log_lines
from countingroom.core.fleet.specs import ServiceSpec
from countingroom.fleet.engines.shell_text import exports, order_text, quoted, words
from tests.patience import PATIENCE_S

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)))
NAME = st.from_regex(r"V_[A-Za-z0-9_]{0,8}", fullmatch=True)


@given(st.lists(TEXT, max_size=20), st.dictionaries(NAME, TEXT, max_size=5))
@settings(max_examples=30)
def test_a_shell_gets_arguments_and_variables_as_they_are(values: list[str], environment: dict[str, str]) -> None:
    order = order_text(ServiceSpec(directory="/"), values, environment)
    shown = "".join(f'printf "%s\\0" "${name}"\n' for name in environment)
    show = f'[ $# = 0 ] || printf "%s\\0" "$@"\nenvironment\n{shown}'
    # As node.sh does it: the order is a value itself, and is read from a pipe.
    script = f'order={quoted(order)}\nread_it() {{ cat; }}\norder=$(printf %s "$order" | cat)\neval "$order"\n{show}'
    done = subprocess.run(["/bin/sh"], input=script.encode(), capture_output=True, check=True, timeout=20)
    assert done.stdout.decode().split("\0")[:-1] == [*values, *environment.values()]
    assert not done.stderr


@given(st.lists(TEXT, min_size=1, max_size=20))
@settings(max_examples=10)
def test_words_stay_words(values: list[str]) -> None:
    script = f'set -- {words(values)}\nprintf "%s\\0" "$@"\n'
    done = subprocess.run(["/bin/sh"], input=script.encode(), capture_output=True, check=True, timeout=20)
    assert done.stdout.decode().split("\0")[:-1] == values


@given(st.text())
def test_only_names_of_variables_are_exported(name: str) -> None:
    try:
        line = exports({name: "1"})
    except ConfigurationError:
        return
    assert line == f"export {name}=1\n" and name.isascii() and name.isidentifier()


@pytest.mark.parametrize("value", ["a\0b", "\ud800"])
def test_what_no_shell_can_hold_is_refused(value: str) -> None:
    with pytest.raises(ConfigurationError):
        quoted(value)


def test_a_log_stays_within_its_bound_and_keeps_what_came_last(tmp_path: Path) -> None:
    with as_file(files("countingroom.fleet.engines") / "node.sh") as node:
        script = (
            f". {node}; cd {quoted(str(tmp_path))}; LOG_BYTES=4000; PIPE_BYTES=4096;"
            " seq 10000 | keep_log; echo more | keep_log; "
            f"lines {quoted(str(tmp_path))} 3"
        )
        said = subprocess.run(["/bin/sh", "-c", script], check=True, timeout=20, capture_output=True).stdout
    older, newer = (tmp_path / "log.1").read_text(), (tmp_path / "log").read_text()
    assert 4000 <= len(older) <= 4000 + 16384 and len(newer) <= 4000 + 16384
    assert (older + newer).endswith("9999\n10000\nmore\n")
    told = list(log_lines(said, 0))
    assert [text for _, text in told] == ["9999", "10000", "more"]
    times = [at for at, _ in told]
    assert times == sorted(times) and times[0] > 1e18
    assert [text for _, text in log_lines(said, 0, times[-1])][-1] == "more"
    assert list(log_lines(b"log log 4\nlines\nold\n", 0, 5)) == [(0, "old")]  # of a runner that kept no times


def test_a_log_takes_many_small_writes(tmp_path: Path) -> None:
    """Each is a read of its own: what keeps the log must end at the end of the output alone."""
    with as_file(files("countingroom.fleet.engines") / "node.sh") as node:
        script = f". {node}; cd {quoted(str(tmp_path))}; keep_log"
        with subprocess.Popen(["/bin/sh", "-c", script], stdin=subprocess.PIPE, bufsize=0) as keeping:
            assert keeping.stdin
            for index in range(300):
                keeping.stdin.write(f"{index}\n".encode())
                time.sleep(0.001)
            keeping.stdin.close()
            assert keeping.wait(PATIENCE_S) == 0
    assert (tmp_path / "log").read_text() == "".join(f"{index}\n" for index in range(300))
