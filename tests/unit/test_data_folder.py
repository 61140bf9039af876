"""Two experiments never write to the same data."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from countingroom.app.data_folder import InstanceOwner, close_to_others, default_data, owned
from countingroom.core.clock import SystemClock
from countingroom.core.errors import ConfigurationError, Conflict
from countingroom.core.umask import VARIABLE
from countingroom.runs.agents.kinds import program

ME = InstanceOwner(
    pid=4711, description="cold_box.yaml", console="http://127.0.0.1:8080", since="2026-01-01T00:00:00+00:00"
)


def test_a_second_owner_is_told_who_the_first_is(tmp_path: Path) -> None:
    with owned(tmp_path, ME), pytest.raises(Conflict) as taken, owned(tmp_path, ME):
        pass
    message = taken.value.cause.message
    assert all(word in message for word in ("4711", "cold_box.yaml", "http://127.0.0.1:8080"))
    assert "--data" in taken.value.cause.suggestion


def test_a_place_that_was_left_is_free(tmp_path: Path) -> None:
    for _ in range(2):
        with owned(tmp_path / "new" / "place", ME):
            pass


def test_a_place_that_cannot_be_written_is_a_mistake_of_the_description(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="cannot hold the data"), owned(tmp_path / "file" / "data", ME):
        pass


@pytest.mark.parametrize(
    ("description", "name"),
    [("cold_box/experiment.yaml", "cold_box"), ("elsewhere/beam_test.yaml", "beam_test")],
)
def test_each_experiment_has_a_place_of_its_own(
    description: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    assert default_data(tmp_path / description) == tmp_path / "state" / "countingroom" / name


NOBODY = 65534


@pytest.fixture
def open_data() -> Iterator[Path]:
    """A data folder of an earlier version, which every account of the machine can read."""
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        data = Path(place) / "data"
        for folder in (data, data / "bus", data / "bus" / "store"):
            folder.mkdir()
            folder.chmod(0o755)
        for file in (data / "countingroom.sqlite", data / "bus" / "nats.conf", data / "bus" / "store" / "1.blk"):
            file.write_text("secret")
            file.chmod(0o644)
        yield data


def readable_by_others(data: Path) -> list[Path]:
    return [path for path in (data, *data.rglob("*")) if path.stat().st_mode & 0o077]


def test_a_folder_of_an_earlier_version_is_closed_to_others_and_told(open_data: Path) -> None:
    said = close_to_others(open_data)
    assert readable_by_others(open_data) == []
    assert [text for text in said if "could be read by others" in text]
    assert close_to_others(open_data) == []


def test_what_is_not_of_the_experiment_stays_as_it_is(open_data: Path) -> None:
    (open_data / "notes.txt").write_text("of the user")
    (open_data / "notes.txt").chmod(0o644)
    outside = open_data.parent / "elsewhere"
    outside.write_text("not in the folder")
    outside.chmod(0o644)
    (open_data / "logs").symlink_to(open_data.parent)
    (open_data / "bus" / "link").symlink_to(outside)
    close_to_others(open_data)
    assert (open_data / "notes.txt").stat().st_mode & 0o777 == 0o644
    assert outside.stat().st_mode & 0o777 == 0o644
    assert open_data.parent.stat().st_mode & 0o777 == 0o755


def test_a_folder_that_is_shared_stays_so_and_its_content_is_closed(open_data: Path) -> None:
    open_data.chmod(0o1777)
    said = close_to_others(open_data)
    assert open_data.stat().st_mode & 0o1777 == 0o1777
    assert readable_by_others(open_data) == [open_data]
    assert [text for text in said if "also for others" in text]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give files to another account")
@pytest.mark.parametrize("name", ["owner.json", "countingroom.sqlite", "bus", "bus/nats.conf", "logs"])
def test_what_another_account_made_in_a_shared_folder_is_refused(open_data: Path, name: str) -> None:
    open_data.chmod(0o1777)
    path = open_data / name
    if not path.exists():
        path.symlink_to(open_data.parent / "elsewhere")
    os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
    with pytest.raises(ConfigurationError, match=f"{name} belongs to another account"), owned(open_data, ME):
        pass
    assert not (open_data.parent / "elsewhere").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become another account")
def test_another_account_reads_nothing(open_data: Path) -> None:
    def others_read(path: Path) -> bool:
        other = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
        return not subprocess.run(["cat", str(path)], **other, capture_output=True, check=False).returncode

    file = open_data / "countingroom.sqlite"
    assert others_read(file)
    close_to_others(open_data)
    assert not others_read(file)


def test_files_are_private_and_programs_of_users_keep_the_umask() -> None:
    text = (
        "import os\n"
        "from countingroom.core.umask import keep_files_private, umask_of_users\n"
        "os.umask(0o027)\n"
        "assert umask_of_users() == -1\n"
        "keep_files_private()\n"
        "keep_files_private()\n"
        "assert umask_of_users() == 0o027\n"
        "assert os.umask(0) == 0o077\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != VARIABLE}
    subprocess.run([sys.executable, "-c", text], env=environment, check=True)


async def test_the_files_of_a_program_of_a_user_keep_their_permissions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "027")
    before = os.umask(0o077)
    try:
        words = ["touch", str(tmp_path / "raw.dat")]
        status = await program.run(
            words, SystemClock(), directory=tmp_path, environment={}, given=b"", said=lambda line: None
        )
    finally:
        os.umask(before)
    assert status == 0
    assert (tmp_path / "raw.dat").stat().st_mode & 0o777 == 0o640
