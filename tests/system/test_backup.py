"""A backup of an experiment under load is restored to one that equals the original at one moment, and goes on."""

from __future__ import annotations

import base64
import json
import pickle
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pytest

from countingroom.backup.contents import NOT_RESTORED
from countingroom.bus.nats.control_buckets import SavedBucket
from countingroom.cli.main import run
from countingroom.core.messages import decode
from tests.contract.storage.postgres import Postgres
from tests.patience import PATIENCE_S
from tests.system.backup_child import Rows, rows_of
from tests.system.running import ANSWER_S, Running, until, up
from tests.warm_python import start

MORE = """
devices:
  chiller: {driver: julabo, port: /dev/ttyUSB0}
alarms:
  custom:
    warm: {priority: 3, limit: {point: chiller.internal_temp, alarm_high: -270}}
console: {login: local}
backup:
  key: {file: FOLDER/key}
"""
FILLED = """account alarm alarm_history audit configuration_revision partition_wanted result run run_counter
    session"""
"""Tables that must have rows here, or equal ones say nothing."""
STILL = ("in_force", "description", "catalogue.")
"""States that do not change after the backup. Others do: an alarm shows the present value of its point."""
WARM = "custom.warm"


def here(*words: str | Path) -> int:
    """The status of a command that is run in this process."""
    return run([*map(str, words)])


def backup(rows: Path, *words: str | Path) -> Any:
    """A backup, in a process of its own, whose priority is low. `rows`: a file for what the database has then."""
    arguments = [str(rows), "--json", *map(str, words)]
    with start(arguments, module="tests.system.backup_child") as process:
        said = process.stdout.read() if process.stdout else ""
    assert process.returncode == 0
    return json.loads(said)


def described(folder: Path, more: str = "") -> Path:
    """The description of an experiment, and a key for its backups."""
    assert here("example", "cbm", "--detectors", "1", "--pause", "0.05", "-o", folder) == 0
    file = folder / "experiment.yaml"
    file.write_text(file.read_text() + MORE.replace("FOLDER", str(folder)) + more)
    assert here("backup", "key", folder / "private") == 0
    (folder / "key").write_text((folder / "private").read_text().split()[3] + "\n")  # the public one is enough
    return file


def post(http: httpx.Client, path: str, status: int = 200, **body: Any) -> Any:
    answer = http.post(f"/api/v1/{path}", json=body, timeout=PATIENCE_S + ANSWER_S)
    assert answer.status_code == status, answer.text
    return answer.json()


def ask(one: Running, action: str, target: str = "partitions/mCBM", **arguments: Any) -> None:
    answer = post(one.http, f"{target}/commands/{action}", arguments=arguments, wait_s=PATIENCE_S)
    assert answer["outcome"]["kind"] == "done", answer


def free(one: Running) -> None:
    until(lambda: one.get("/partitions/mCBM")["partition"]["refusals"]["goal"] is None, "the partition is owned")


def deliver(http: httpx.Client, number: int) -> None:
    """A result with a document and an array."""
    values = base64.b64encode("\n".join(["noise", *map(str, range(number, number + 50))]).encode()).decode()
    document = {"name": "summary", "content": {"noise": number}}
    array = {"name": "noise", "format": "csv", "data": values}
    post(http, "results", 201, program="scan", documents=[document], arrays=[array])


def save(http: httpx.Client, number: int) -> None:
    """A revision of a configuration."""
    arguments = {"system": "STS", "tag": "load", "parameters": json.dumps({"number": number})}
    post(http, "experiment/commands/save_configuration", arguments=arguments, wait_s=PATIENCE_S)


@contextmanager
def load(one: Running) -> Generator[None]:
    """Configurations and results are saved all the time, each as a transaction, events and audit entries."""
    over = threading.Event()

    def work(act: Callable[[httpx.Client, int], None]) -> None:
        with httpx.Client(base_url=one.url, headers=one.http.headers) as http:
            number = 0
            while not over.is_set():
                act(http, number := number + 1)

    threads = [threading.Thread(target=work, args=(act,)) for act in (save, deliver)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


def ends(one: Running) -> dict[int, str | None]:
    """Run -> how it ended."""
    return {each["number"]: each["end"] for each in one.get("/runs")["runs"]}


def revisions(one: Running) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = one.get("/configurations/STS/history", tag="load", limit=1000)["history"]
    return sorted(found, key=lambda each: each["revision"])


def said(capsys: pytest.CaptureFixture[str], *words: str | Path) -> str:
    """What a command prints."""
    capsys.readouterr()
    assert here(*words) == 0
    return capsys.readouterr().out.strip()


def shelve(one: Running) -> None:
    alarm = until(lambda: one.get(f"/alarms/{WARM}")["alarm"], "the alarm is there")
    shelved = {"alarms": json.dumps({WARM: alarm["occurrence"]}), "reason": "test", "seconds": 3600}
    ask(one, "shelve", "alarms", **shelved)


class Original:
    """An experiment that is backed up under load, and killed later."""

    def __init__(self, place: Path, capsys: pytest.CaptureFixture[str], more: str = "") -> None:
        self.description = described(place / "cbm", more)
        self.data, self.file = place / "data", place / "bench.backup.age"
        self.key = ("--key", self.description.parent / "private")
        with up(self.description, self.data, "--simulate", status=-9) as one:
            account = (self.description, "anna", "--data", self.data)
            said(capsys, "user", "add", *account, "--role", "administrator")
            self.login = {"authorization": f"Bearer {said(capsys, 'user', 'token', *account)}"}
            one.http.headers.update(self.login)
            free(one)
            ask(one, "configure_all")
            ask(one, "start")
            shelve(one)
            with load(one):
                until(lambda: len(revisions(one)) > 3, "the load has begun")
                made = backup(place / "rows", "--data", self.data, "--to", self.file)
                seen = len(revisions(one))
                until(lambda: len(revisions(one)) > seen, "the load goes on")
            ask(one, "stop")
            ask(one, "start")  # a number that the backup does not know
            assert made["checked"]
            self.moment_ns = made["moment_ns"]
            self.rows: Rows = pickle.loads((place / "rows").read_bytes())
            self.revisions = revisions(one)
            self.events = one.get("/events", limit=1000)["events"]
            until(lambda: newer(one, self.moment_ns), "the history has a reading of after the moment")
            one.process.kill()

    def check(self, into: Path, restored: Rows) -> None:
        """Compare with what was restored and has not been started yet."""
        for name in FILLED.split():
            assert self.rows[name], name
        assert restored.keys() == self.rows.keys()
        for name, rows in self.rows.items():
            assert restored[name] == rows, name
        assert (into / "description" / "experiment.yaml").read_bytes() == self.description.read_bytes()
        before, after = state(self.data), state(into / "data")
        assert {"in_force", "description", "catalogue.chiller", f"alarm.{WARM}"} <= after.keys() <= before.keys()
        assert not {key.partition(".")[0] for key in after}.intersection(NOT_RESTORED)
        assert all(after[key] == before[key] for key in after if key.startswith(STILL))
        files = tree(into / "data" / "result-files")
        assert files == {name: data for name, data in tree(self.data / "result-files").items() if name in files}
        for number in range(1, len(self.rows["result"]) + 1 if files else 0):
            for name in ("documents/summary.json", "arrays/noise.parquet"):
                assert f"{number:06}/{name}" in files


def newer(one: Running, than_ns: int) -> list[int]:
    asked = {"point": "chiller.internal_temp", "from": than_ns, "to": than_ns + 60 * 10**9}
    return one.get("/history", **asked)["time_ns"]


def state(data: Path) -> dict[str, bytes]:
    """The states on the bus."""
    return decode((data / "bus" / "state.msgpack").read_bytes(), SavedBucket).state


def tree(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def samples(data: Path, until_ns: int) -> dict[int, list[tuple[Any, ...]]]:
    """All columns of all samples by the time of the message in which they came, up to a time."""
    every = "SELECT * FROM raw UNION ALL BY NAME SELECT * FROM text"
    found: dict[int, list[tuple[Any, ...]]] = {}
    with duckdb.connect(data / "history" / "history.duckdb") as file:
        for sent_ns, *row in file.execute(
            f"SELECT time_ns + sent_off AS sent, p.name, s.* EXCLUDE (point) FROM ({every}) s JOIN point p "
            f"ON p.id = s.point WHERE sent <= {until_ns} ORDER BY ALL"
        ).fetchall():
            found.setdefault(sent_ns, []).append(tuple(row))
    return found


def check_history(original: Path, restored: Path, moment_ns: int) -> None:
    """Each sample of each message is there, up to a message; one may be on its way to the bus in the moment."""
    before, after = samples(original, moment_ns), samples(restored, moment_ns)
    last_ns = max(after)
    assert after == {sent_ns: rows for sent_ns, rows in before.items() if sent_ns <= last_ns}
    assert sum(sent_ns > last_ns for sent_ns in before) <= 1


def check_refusals(
    file: Path, used: Path, into: Path, key: tuple[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder that is used, a missing key, and a damaged file."""
    assert b"chiller" not in file.read_bytes()
    damaged = file.with_name("damaged")
    whole = bytearray(file.read_bytes())
    whole[len(whole) // 2] ^= 1
    damaged.write_bytes(whole)
    assert here("backup", "verify", file) == 2
    assert here("restore", file, "--into", used, *key) == 1
    assert here("restore", damaged, "--into", into, *key) == 1
    told = capsys.readouterr().err
    assert all(one in told for one in ("is encrypted", "is not empty", "the backup is damaged")), told
    assert not into.exists()


@pytest.mark.timeout(600)
def test_a_backup_under_load_is_the_experiment_at_one_moment_and_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    original = Original(tmp_path, capsys)
    file, into, key = original.file, tmp_path / "new", original.key
    manifest = json.loads(said(capsys, "backup", "verify", file, *key, "--json"))["manifest"]
    check_refusals(file, original.data, into, key, capsys)
    assert here("restore", file, "--into", into, *key) == 0
    assert "the next run is 3: the original's last is known" in capsys.readouterr().out
    original.check(into, rows_of(str(into / "data" / "countingroom.sqlite")))
    with up(into / "description" / "experiment.yaml", into / "data", "--simulate") as two:
        two.http.headers.update(original.login)  # the login of then
        until(lambda: two.http.get("/readyz").status_code == 200, "it is ready")
        after = revisions(two)
        assert 3 < len(after) < len(original.revisions)
        assert after == original.revisions[: len(after)]
        last = manifest["events"]["last"]
        kept = [each for each in original.events if each["sequence"] <= last]
        again = [each for each in two.get("/events", limit=1000)["events"] if each["sequence"] <= last]
        assert again == kept
        until(lambda: ends(two) == {1: "owner died"}, "the run is closed")
        assert until(lambda: two.get("/partitions/mCBM")["partition"], "it is owned again")["run"] in (None, 0)
        assert until(lambda: two.get(f"/alarms/{WARM}")["alarm"], "the alarm is there")["shelf"]["reason"] == "test"
        free(two)
        ask(two, "configure_all")
        ask(two, "start")
        assert max(each["number"] for each in two.get("/runs")["runs"]) == 3
        until(lambda: newer(two, original.moment_ns), "the history has taken in the last readings")
    check_history(original.data, into / "data", original.moment_ns)


@pytest.mark.server
@pytest.mark.timeout(600)
def test_a_backup_with_postgresql_has_the_rows_of_one_moment(
    needs: Callable[[str], str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server = Postgres(needs("initdb"))
    server.start()
    try:
        original = Original(tmp_path, capsys, f"storage: {{ url: '{server.database()}' }}\n")
        into, empty = tmp_path / "new", server.database()
        assert here("restore", original.file, "--into", into, *original.key, "--database", empty) == 0
        original.check(into, rows_of(empty))
    finally:
        server.stop()
