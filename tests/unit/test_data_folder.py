"""Two experiments never write to the same data."""

from __future__ import annotations

from pathlib import Path

import pytest

from countingroom.app.data_folder import InstanceOwner, default_data, owned
from countingroom.core.errors import ConfigurationError, Conflict

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
