"""The store of results and the service of their programs, for the console that hosts them."""

from __future__ import annotations

from pathlib import Path

from countingroom import __version__
from countingroom.app.data_folder import RESULT_FILES
from countingroom.app.roles import Setting
from countingroom.bus.port import Bus
from countingroom.results.description import ResultsSection
from countingroom.results.desk import Desk
from countingroom.results.service import ResultsService
from countingroom.results.store import open_store
from countingroom.storage.database import Database


def result_desk(database: Database, data: Path) -> Desk:
    """What the console does with results."""
    return Desk(open_store(database, data / RESULT_FILES))


def results_service(setting: Setting, bus: Bus, database: Database) -> ResultsService | None:
    """The service of the programs of the description; None where it has none."""
    section = setting.experiment.section(ResultsSection)
    if not section.in_use:
        return None
    store = open_store(database, (setting.data / RESULT_FILES).resolve())
    return ResultsService(
        bus, setting.clock, section, store, directory=setting.directory.resolve(), version=__version__
    )
