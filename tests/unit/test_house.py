"""Rules of the project that a program can check: file sizes, names, locks, examples, code in the documentation."""

from __future__ import annotations

import ast
import re
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from countingroom.devices.description import DevicesSection
from countingroom.experiment import load
from countingroom.fleet.description import FleetSection
from tests.source_trees import PACKAGE, trees

ROOT = Path(__file__).parents[2]
SOURCE = sorted(PACKAGE.rglob("*.py"))
PAGES = sorted((ROOT / "docs").rglob("*.md"))
LOCKS = [*sorted((ROOT / "requirements").glob("*.txt")), ROOT / "package-lock.json"]
MOST_LINES = 400
LONG_FILES: dict[str, int] = {}
"""Files that are longer -> their lines. An entry is only ever lowered or removed."""
SHARED_NAMES: dict[str, str] = {}
"""Public class names that stand in two files -> the reason."""
BANNED = {"utils", "util", "common", "helpers", "helper", "manager", "misc"}
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
SHELL = re.compile(r"^```(?:console|sh|shell|bash)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


# A rule over all files is one test that names every offender: a thousand tests of a millisecond cost more than their
# work in the report of each.


def test_a_file_holds_one_concept() -> None:
    found = {str(path.relative_to(PACKAGE)): len(path.read_text().splitlines()) for path in SOURCE}
    long = {file: lines for file, lines in found.items() if lines > LONG_FILES.get(file, MOST_LINES)}
    assert not long, "look for the second concept in each"


def test_the_list_of_long_files_shrinks_with_them() -> None:
    for file, lines in LONG_FILES.items():
        assert len((PACKAGE / file).read_text().splitlines()) == lines > MOST_LINES, f"correct the entry of {file}"


def test_a_file_is_named_for_its_subject() -> None:
    paths = [path.relative_to(ROOT) for path in SOURCE]
    assert not [path for path in paths if {part.lower() for part in (*path.parent.parts, path.stem)} & BANNED]


def test_attributes_are_assigned_one_a_line() -> None:
    several = [
        f"{name(path)}:{node.lineno}"
        for path, tree in trees().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Tuple)
        for target in node.targets
        if sum(isinstance(one, ast.Attribute) for one in getattr(target, "elts", ())) > 1
    ]
    assert not several, "assign one attribute a line"


def test_a_module_that_says_it_is_pure_is_held_to_it() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    held = next(set(one["source_modules"]) for one in contracts if "no clock" in one["name"])
    claiming = {
        ".".join(path.relative_to(ROOT / "src").with_suffix("").parts)
        for path, tree in trees().items()
        if re.search(r"\bpure\b", ast.get_docstring(tree) or "", re.IGNORECASE) and path.stem != "__init__"
    }
    assert claiming <= held, "add it to the contract in pyproject.toml, or correct its docstring"


def test_a_public_class_name_has_one_meaning() -> None:
    """Names of description sections, alembic revisions and the like are not classes of two departments."""
    places: dict[str, set[str]] = defaultdict(set)
    for path, tree in trees().items():
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].add(str(path.relative_to(PACKAGE)))
    twice = {name: files for name, files in places.items() if len(files) > 1 and name not in SHARED_NAMES}
    assert not twice


def test_messages_are_decoded_in_one_place() -> None:
    """Other errors of msgspec than its own, for hostile bytes, are translated there."""
    found = [name(path) for path in SOURCE if re.search(r"msgspec\.msgpack\.\w+", path.read_text())]
    assert found == ["src/countingroom/core/messages.py"], "use decode or MessageDecoder of core.messages"


CONTAINERS = {"dict", "list", "set", "bytearray"}
STATEFUL = {
    *("Counter", "Lock", "OrderedDict", "Semaphore", "WeakKeyDictionary", "WeakSet", "WeakValueDictionary"),
    *("Condition", "ContextVar", "Event", "Queue", "SimpleQueue", "defaultdict", "deque", "local"),
}
"""Calls whose result has no use but to be changed."""
PROMETHEUS = {"Gauge", "Histogram", "Summary"}
MUTATIONS = {
    *("add", "append", "appendleft", "clear", "discard", "extend", "insert", "pop", "popitem", "popleft"),
    *("remove", "reverse", "setdefault", "sort", "update"),
}
LITERALS = (ast.Dict, ast.List, ast.Set, ast.DictComp, ast.ListComp, ast.SetComp)
CACHED: dict[str, str] = {
    "bus/memory/subjects.py:matches": "a pure function of two texts",
    "core/yaml/validation_errors.py:_schema_of": "what follows from a class",
    "core/units.py:_registry": "the units of the program, made once and never changed",
    "devices/description.py:sections": "the drivers that are installed, which no running process changes",
    "experiment/description.py:experiment_model": "a class made from the constant table of departments",
    "experiment/loading.py:load_once": "the description as `up` read it: a restarted role gets the same one",
    "runs/agents/saved_state.py:_machine": "the boot id of this computer, constant while a process lives",
    "runs/description.py:shipped": "a file of the package",
    "runs/sections/system.py:plain_chart": "a file of the package",
}
"""Functions with `functools.cache` -> why their result is a constant and holds no resource."""


def test_no_module_or_class_holds_state() -> None:
    assert not [f"{name(path)} {place}" for path, tree in trees().items() for place in _global_state(tree)]


def test_only_constants_are_cached() -> None:
    cached = {
        f"{path.relative_to(PACKAGE)}:{node.name}"
        for path, tree in trees().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and any(re.match(r"(functools\.)?(lru_)?cache\b", ast.unparse(mark)) for mark in node.decorator_list)
    }
    assert cached == CACHED.keys()


@pytest.mark.parametrize(
    "text",
    [
        "ports = {}\ndef f(): ports[1] = 2",
        "ports = {1: 2}\ndef f(): del ports[1]",
        "_left: list[int] = []\ndef f(): _left.append(1)",
        "lock = asyncio.Lock()",
        "ports: WeakValueDictionary[str, int] = WeakValueDictionary()",
        "class A:\n    all = [1]\n    def f(self): self.all.append(2)",
        "class A:\n    held: set[int] = {1}\n    @classmethod\n    def f(cls): cls.held.add(2)",
        "class A:\n    now = None\n    @classmethod\n    def f(cls): cls.now = 2",
        "class A:\n    now = None\ndef f(): A.now = 2",
        "n = 0\ndef f():\n    global n\n    n = 1",
    ],
)
def test_state_of_a_module_or_class_is_found(text: str) -> None:
    assert list(_global_state(ast.parse(text)))


@pytest.mark.parametrize(
    "text",
    [
        "UNITS = {'V': 1}\ndef f(): return UNITS['V']",
        "class A(Struct):\n    codes: dict[str, str] = {}\n    def f(self): return self.codes",
        "class A:\n    def __init__(self): self.all = []\n    def f(self): self.all.append(2)",
        "NAMES = [1]\ndef f():\n    names = list(NAMES)\n    names.append(2)",
    ],
)
def test_constants_and_state_of_an_object_are_allowed(text: str) -> None:
    assert not list(_global_state(ast.parse(text)))


def test_a_lock_names_no_address() -> None:
    texts = {name(path): path.read_text() for path in LOCKS}
    assert not [file for file, text in texts.items() if "://" in text or "index-url" in text]


@pytest.mark.parametrize("path", [ROOT / "requirements/run.txt", ROOT / "requirements/dev.txt"], ids=name)
def test_every_locked_package_has_its_hash(path: Path) -> None:
    packages = re.findall(r"^([A-Za-z0-9._-]+)==\S+ (?:;.*)?\\\n +--hash=sha256:", path.read_text(), re.MULTILINE)
    assert len(packages) == len(re.findall(r"^\S+==", path.read_text(), re.MULTILINE)) > 40


def test_the_development_lock_pins_what_runs() -> None:
    def pins(path: str) -> set[str]:
        return set(re.findall(r"^\S+==\S+", (ROOT / path).read_text(), re.MULTILINE))

    assert pins("requirements/run.txt") <= pins("requirements/dev.txt")


@pytest.mark.parametrize(
    "path",
    [path for path in sorted((ROOT / "examples").rglob("*.yaml")) if "\nexperiment:" in path.read_text()],
    ids=name,
)
def test_an_example_is_right(path: Path) -> None:
    experiment = load(path)
    assert experiment.title
    assert experiment.section(DevicesSection).root or experiment.section(FleetSection).services


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_the_code_of_a_page_runs(path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": path.stem}
    for block in BLOCK.findall(path.read_text()):
        exec(compile(block, str(path), "exec"), names)


def test_the_commands_of_the_pages_exist() -> None:
    pages = [ROOT / "README.md", *PAGES]
    shown = [(name(path), words) for path in pages for words in _commands(path.read_text())]
    assert not [f"{page} shows `{' '.join(words)}`" for page, words in shown if not _exists(words)]


def test_the_two_commands_are_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    assert "make demo" in readme
    assert "make test" in readme


def _commands(text: str) -> list[list[str]]:
    lines = [line.strip().removeprefix("$ ") for block in SHELL.findall(text) for line in block.splitlines()]
    return [line.split("#")[0].split() for line in lines if line.startswith(("countingroom ", "make "))]


def _exists(words: list[str]) -> bool:
    """Whether a shown command is one of ours, with options that it has."""
    if words[0] == "make":
        return re.search(rf"^{re.escape(words[1])}:", (ROOT / "Makefile").read_text(), re.MULTILINE) is not None
    from tests.unit.command_tree import command_of

    command, rest = command_of(words[1:])
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    return all(word.split("=")[0] in known | {"--help", "--"} for word in rest if word.startswith("--"))


def _global_state(module: ast.Module) -> Iterator[str]:
    """State that belongs to a module or a class: it outlives its owner and is shared by everything in the process."""
    changed = set(_changed(module))
    classes = [node for node in ast.walk(module) if isinstance(node, ast.ClassDef)]
    for scope in (module, *classes):
        owners = {"cls", "self", scope.name} if isinstance(scope, ast.ClassDef) else set[str]()
        for target, value in _bindings(scope):
            names = {f"{owner}.{target}" for owner in owners} if owners else {target}
            if _is_stateful(value) or (_is_container(value) and names & changed):
                yield f"line {value.lineno}: {target}"
    shared = {"cls", *(one.name for one in classes)}
    for node in ast.walk(module):
        if isinstance(node, ast.Global):
            yield f"line {node.lineno}: global {', '.join(node.names)}"
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.ctx, ast.Store)
            and isinstance(node.value, ast.Name)
            and node.value.id in shared
        ):
            yield f"line {node.lineno}: {ast.unparse(node)} is assigned"


def _bindings(scope: ast.Module | ast.ClassDef) -> Iterator[tuple[str, ast.expr]]:
    for node in scope.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
        for target in targets:
            if value is not None and isinstance(target, ast.Name):
                yield target.id, value


def _changed(module: ast.Module) -> Iterator[str]:
    """What a function changes in place: `name` or `owner.name`."""
    for function in ast.walk(module):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        for node in ast.walk(function):
            if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del):
                yield ast.unparse(node.value)
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in MUTATIONS:
                yield ast.unparse(node.func.value)


def _called(value: ast.expr) -> str:
    function = value.func if isinstance(value, ast.Call) else None
    function = function.value if isinstance(function, ast.Subscript) else function
    return getattr(function, "id", getattr(function, "attr", ""))


def _is_container(value: ast.expr) -> bool:
    return isinstance(value, LITERALS) or _called(value) in CONTAINERS


def _is_stateful(value: ast.expr) -> bool:
    return _called(value) in STATEFUL | PROMETHEUS


def test_no_page_calls_a_missing_user_nobody() -> None:
    console = ROOT / "src/countingroom/console"
    pages = [*console.glob("templates/*.html"), *console.glob("static/js/*.js")]
    assert pages
    assert not [path.name for path in pages if re.search(r"\bnobody\b", path.read_text(), re.IGNORECASE)]


TESTS = sorted((ROOT / "tests").rglob("*.py"))
LONG_WAIT_S = 30.0


def test_a_test_waits_long_for_what_must_come() -> None:
    """A short wait fails on a slow machine, and a long one that ends early costs nothing: `tests/patience.py`."""
    short = [
        f"{name(path)}:{call.lineno}"
        for path in TESTS
        if re.search(r"asyncio\.(timeout|wait_for)\(.*[0-9]\)", path.read_text())
        for call in _waits(ast.parse(path.read_text()))
        if isinstance(limit := call.args[-1], ast.Constant)
        and isinstance(limit.value, int | float)
        and 0 < limit.value < LONG_WAIT_S
    ]
    assert not short, "wait for PATIENCE_S, or expect the TimeoutError"


def _waits(node: ast.AST) -> Iterator[ast.Call]:
    """Calls of `asyncio.timeout` and `asyncio.wait_for` whose end no test expects."""
    if isinstance(node, ast.With | ast.AsyncWith):
        entered = [ast.unparse(item.context_expr) for item in node.items]
        if any("TimeoutError" in text for text in entered):
            return
    if isinstance(node, ast.Call) and ast.unparse(node.func) in ("asyncio.timeout", "asyncio.wait_for"):
        yield node
    for child in ast.iter_child_nodes(node):
        yield from _waits(child)
