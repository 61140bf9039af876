"""The last check, and the leak test: names planted everywhere, in all encodings, of which none may leave."""

from __future__ import annotations

import base64
import html
import random
from collections.abc import Callable, Iterator
from typing import Any, cast
from urllib.parse import quote

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from countingroom.core.mirror.fields import (
    AliasRule,
    BooleanRule,
    FieldRule,
    IntegerRule,
    ListRule,
    LogRule,
    NumberRule,
    OneOfRule,
    PatternRule,
    RecordRule,
    TableRule,
    TimeRule,
)
from countingroom.core.mirror.last_check import LastCheck
from countingroom.core.mirror.proposals import learn, masked, proposal, words
from countingroom.core.mirror.pseudonyms import Pseudonyms
from countingroom.core.mirror.redactor import LogCount, Redactor
from countingroom.core.mirror.templates import Approval, problem_of
from countingroom.mirror.description import MirrorSection
from tests.mirror_logs import Corpus, corpus

KEY = Pseudonyms(b"k" * 32)
NOTHING = LastCheck([])
HOST = "fu-c2f11-11-04"


def redactor(rules: dict[str, FieldRule], *approvals: Approval, check: LastCheck = NOTHING) -> Redactor:
    return Redactor(KEY, check, {"run": RecordRule(fields=rules)}, approvals)


# The last check

ENCODINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "upper case": str.upper,
    "no signs": lambda name: name.replace("-", "").replace(".", "").replace("/", ""),
    "spaced": " ".join,
    "full width": lambda name: "".join(chr(ord(one) + 0xFEE0) if "!" <= one <= "~" else one for one in name),
    "base64": lambda name: base64.b64encode(name.encode()).decode(),
    "base64 within text": lambda name: base64.b64encode(f"x={name};y".encode()).decode().rstrip("="),
    "base64 of UTF-16": lambda name: base64.b64encode(name.encode("utf-16-le")).decode(),
    "base64 twice": lambda name: base64.b64encode(base64.b64encode(name.encode())).decode(),
    "URL-safe base64": lambda name: base64.urlsafe_b64encode(f"??>{name}".encode()).decode(),
    "base64 in lines": lambda name: "\n".join(
        base64.b64encode(name.encode()).decode()[at : at + 7] for at in range(0, 99, 7)
    ),
    "hexadecimal": lambda name: name.encode().hex(),
    "hexadecimal with spaces": lambda name: name.encode().hex(" ").upper(),
    "escapes": lambda name: "".join(f"\\x{one:02x}" for one in name.encode()),
    "Unicode escapes": lambda name: "".join(f"\\u{ord(one):04x}" for one in name),
    "percent signs": lambda name: "".join(f"%{one:02X}" for one in name.encode()),
    "URL": lambda name: quote(f"http://x/?q={name}", safe=""),
    "entities": lambda name: "".join(f"&#{ord(one)};" for one in name),
    "hexadecimal entities": lambda name: "".join(f"&#x{ord(one):x};" for one in name),
    "named entities": lambda name: html.escape(name).replace("-", "&hyphen;").replace("/", "&sol;"),
}
NAMES = [HOST, "dqmrubu-c2a06-03-01.cms", "anna.rossi", "/nfs/secret/area51", "10.176.20.33", "hunter2-token-9f8e"]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_known_name_is_found_in_each_encoding(encoding: str) -> None:
    check = LastCheck([("host", name) for name in NAMES], patterns=False)
    for name in NAMES:
        assert check.find(f"it is {ENCODINGS[encoding](name)} here") is not None, name


@pytest.mark.parametrize("cut", range(1, len(HOST)))
def test_a_name_that_two_neighbours_make_up_is_found(cut: int) -> None:
    check = LastCheck([("host", HOST)])
    assert check.find(HOST[cut:] + " is here", f"it was {HOST[:cut]}") is not None
    found = redactor(
        {"a": PatternRule(pattern=".*"), "n": IntegerRule(least=0, most=9), "b": PatternRule(pattern=".*")}, check=check
    )
    assert found.record("run", {"a": HOST[:cut], "b": HOST[cut:]}).record is None


def test_a_short_name_is_found_as_a_word_only() -> None:
    check = LastCheck([("user", "bob")])
    assert check.find("kabob bobby") is None
    for text in ("by bob.", "user=BOB", "bob@x", "x/bob/y", "for_bob"):
        assert check.find(text) is not None, text


def test_a_clean_line_passes_the_last_check() -> None:
    check = LastCheck([("host", name) for name in NAMES])
    line = "30-Nov-2026 10:22:33 CET event 12 of run 381, lumi 4, 12.5 ms, CMSSW_13_0_5, [path], host-k3f7q2ab"
    assert check.find(line, line) is None


def test_codes_of_letters_in_a_list_of_numbers_are_found() -> None:
    found = redactor({"a": ListRule(of=IntegerRule(least=0, most=255))}, check=LastCheck([("host", HOST)]))
    assert found.record("run", {"a": list(HOST.encode())}).record is None
    assert found.record("run", {"a": list(range(100))}).record is not None


# The leak test

POLICY: dict[str, FieldRule] = {
    "number": IntegerRule(least=0, most=10**7),
    "state": OneOfRule(values=("running", "ended")),
    "version": PatternRule(pattern=r"CMSSW_\d+_\d+_\d+(_patch\d+)?"),
    "started": TimeRule(),
    "good": BooleanRule(),
    "rate": NumberRule(least=0, most=1e6),
    "clients": ListRule(
        of=RecordRule(fields={"host": AliasRule(), "state": PatternRule(pattern=r"[A-Za-z ]+"), "log": LogRule()})
    ),
    "streams": TableRule(key=PatternRule(pattern=r"[A-Za-z]+\w*"), of=NumberRule(least=0, most=1e9)),
    "note": PatternRule(pattern=r"[ -~]*"),
    "more": PatternRule(pattern=r"[ -~]*"),
}


@pytest.fixture(scope="module")
def logs() -> Corpus:
    return corpus()


def site_check(logs: Corpus, more: list[str]) -> LastCheck:
    names = [*logs.hosts, *(host.partition(".")[0] for host in logs.hosts), *logs.users, *more]
    return LastCheck([("host", name) for name in names])


@pytest.mark.server
def test_of_logs_with_the_variety_of_real_ones_most_leaves_and_no_name(logs: Corpus) -> None:
    """With at most 200 approvals at least 90 % of the lines leave, 40 % of all unmasked, and no host, user or path."""
    check = site_check(logs, [])
    found, unread = learn((host, lines) for host, _, lines in logs.logs)
    assert (len(found), unread) == (725, 0)
    approvals = [proposal(one, check) for one in found[:200]]
    assert not any(map(problem_of, approvals))
    made, count = redactor({}, *approvals, check=check), LogCount()
    out = "\n".join(line.text for host, pid, lines in logs.logs[::6] for line in made.lines(lines, count, (host, pid)))
    assert count.share >= 0.9
    assert count.whole / count.lines >= 0.4
    inside = {*logs.hosts, *(host.partition(".")[0] for host in logs.hosts), *logs.users, "/opt"}
    assert not [name for name in inside if name in out]


def canaries(number: int) -> list[str]:
    """Names of computers, paths, processes, users, addresses and keys."""
    rng = random.Random(7)
    forms: list[Callable[[], str]] = [
        lambda: f"fu-c{rng.randint(10, 99)}f{rng.randint(10, 99)}-{rng.randint(10, 99)}-{rng.randint(10, 99)}",
        lambda: f"/opt/area{rng.randint(1000, 9999)}/user{rng.randint(1000, 9999)}/data",
        lambda: f"{rng.randint(1_000_000, 9_999_999)}",
        lambda: f"user{rng.randint(10_000, 99_999)}",
        lambda: f"10.{rng.randint(100, 255)}.{rng.randint(100, 255)}.{rng.randint(100, 255)}",
        lambda: f"tok{rng.getrandbits(80):020x}",
    ]
    return [forms[one % len(forms)]() for one in range(number)]


@pytest.mark.server
def test_of_1000_planted_names_none_leaves(logs: Corpus) -> None:
    """In every field, key and log line, in every encoding, and split over two fields."""
    names = canaries(1000)
    check = site_check(logs, names)
    found, _ = learn((host, lines[:300]) for host, _, lines in logs.logs)
    # The worst that a person can approve: every template, each list as it was seen.
    made = Redactor(KEY, check, {"run": RecordRule(fields=POLICY)}, [proposal(one, check) for one in found])
    rng = random.Random(3)
    encodings = list(ENCODINGS.values())
    out: list[bytes] = []
    for number, name in enumerate(names):
        hidden = encodings[number % len(encodings)](name)
        template = rng.choice(rng.choice(logs.logs)[2])
        planted = record(template, "nothing", "", "")
        place = number % 9
        if place < 7:
            _plant(planted, place, hidden)
        elif place == 7:
            planted |= {"note": hidden[: len(hidden) // 2], "more": hidden[len(hidden) // 2 :]}
        else:
            planted |= record(f"{template} {hidden}", "nothing", "", "")
        taken = made.record("run", planted, (name,))
        out.append(msgspec.json.encode((taken.record, [one.why for one in taken.decisions])))
    bytes_out = b"\n".join(out)
    assert b'"number"' in bytes_out
    for name in names:
        for encode in encodings:
            assert encode(name).encode() not in bytes_out, name


def record(line: str, note: str, more: str, state: str) -> dict[str, Any]:
    return {
        "number": 12,
        "state": "running",
        "started": 1_796_000_000,
        "rate": 12.5,
        "clients": [{"host": HOST, "state": state, "log": ["starts", line]}],
        "streams": {"express": 5},
        "note": note,
        "more": more,
    }


def _plant(planted: dict[str, Any], place: int, hidden: str) -> None:
    client = planted["clients"][0]
    match place:
        case 0:
            planted["note"] = f"see {hidden}"
        case 1:
            planted["streams"][hidden] = 1
        case 2:
            planted[hidden] = hidden
        case 3:
            client["state"] = hidden
        case 4:
            client["log"] = hidden
        case 5:
            planted["state"] = planted["version"] = planted["started"] = hidden
        case _:
            client["host"] = hidden


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


@given(
    st.dictionaries(st.sampled_from([*POLICY, "other"]), json_values),
    st.sampled_from(NAMES),
    st.sampled_from(sorted(ENCODINGS)),
    st.integers(0, 2**32),
)
def test_a_name_planted_in_a_random_record_does_not_leave(
    given_record: dict[str, Any], name: str, encoding: str, seed: int
) -> None:
    check = LastCheck([("host", one) for one in NAMES])
    hidden, rng = ENCODINGS[encoding](name), random.Random(seed)
    planted = {key: _with(value, hidden, rng) for key, value in given_record.items()} | {"note": f"{hidden}"}
    taken = Redactor(KEY, check, {"run": RecordRule(fields=POLICY)}, ()).record("run", planted)
    text = msgspec.json.encode(taken.record).decode()
    assert hidden.casefold() not in text.casefold()
    assert not [one for one in _strings(taken.record) if name in one]


def _with(value: Any, hidden: str, rng: random.Random) -> Any:
    match value:
        case dict():
            table = cast("dict[str, Any]", value)
            return {(hidden if rng.random() < 0.2 else key): _with(one, hidden, rng) for key, one in table.items()}
        case list():
            return [_with(one, hidden, rng) for one in cast("list[Any]", value)]
        case str():
            return hidden if rng.random() < 0.5 else value
        case _:
            return value


def _strings(value: Any) -> Iterator[str]:
    match value:
        case dict():
            for key, one in cast("dict[str, Any]", value).items():
                yield key
                yield from _strings(one)
        case list():
            for one in cast("list[Any]", value):
                yield from _strings(one)
        case str():
            yield value
        case _:
            return


# Notes of operators


def test_of_1000_names_in_texts_of_notes_none_leaves_in_any_encoding_and_most_are_masked_without_being_known() -> None:
    names = canaries(1000)
    known = Redactor(KEY, LastCheck([("word", one) for one in names]), MirrorSection.default().records(), ())
    unknown = Redactor(KEY, LastCheck([], patterns=False), MirrorSection.default().records(), ())
    encodings = list(ENCODINGS.values())
    left = 0
    for number, name in enumerate(names):
        hidden = encodings[number % len(encodings)](name)
        note = {"note": 1, "title": f"Node {hidden}", "updates": [{"text": f"We restart {hidden}, wait."}]}
        assert hidden.casefold() not in f"{known.record('note', note).record}".casefold(), hidden
        plain = {"note": 1, "title": "Restart", "text": f"The node {name} stopped, see there."}
        left += name in str((unknown.record("note", plain).record or {})["text"])
    # Numbers alone, such as process ids, are not masked: only the last check knows them.
    assert left == sum(one.isdecimal() for one in names)


# Proposals


def test_a_proposal_publishes_nothing_that_names_anybody() -> None:
    lines = [f"node {HOST}.cms runs task{n % 3} of 'anna' for {n} ms from /opt/x/{n}" for n in range(40)]
    check = LastCheck([("user", "anna")])
    ((seen,), _) = learn([("a", lines)])
    assert [one.how for one in proposal(seen, check).slots] == ["pseudonym", "one_of", "mask", "publish", "mask"]
    assert {one.how for one in masked(seen).slots} == {"mask"}
    assert list(words(seen.template)) == ["node", "runs", "of", "for", "ms", "from"]


def test_templates_that_are_decided_are_not_proposed_again() -> None:
    approval = Approval(template="user <name> came", refused=True)
    found, _ = learn([("a", ["user x1 came", "run 5 ends"])], [approval])
    assert [one.template for one in found] == ["run <int> ends"]
