"""A process of countingroom that the fleet has started: it has its order, and the login of the bus, from its
environment, and needs no file of the computer of the experiment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from countingroom.app import serve as serving
from countingroom.app.fleet_programs import (
    DATA_VARIABLE,
    ORDER_VARIABLE,
    ServiceOrder,
    decoded,
)
from countingroom.bus.login import URL_VARIABLE, login_of_environment
from countingroom.console.description import ConsoleSection
from countingroom.core.errors import ConfigurationError
from countingroom.core.umask import keep_files_private
from countingroom.experiment.loading import validated


def run() -> None:
    """Run until SIGTERM. ConfigurationError where the environment has no order."""
    keep_files_private()
    task = task_of(os.environ)
    serving.run_in_foreground(task, prepare=False)


def task_of(environment: Mapping[str, str]) -> serving.ServeTask:
    """The task that the environment variables describe."""
    if ORDER_VARIABLE not in environment:
        raise ConfigurationError(
            f"the variable {ORDER_VARIABLE} is not set",
            source="service",
            suggestion="the fleet starts this command; by hand use `countingroom serve`",
        )
    order = decoded(environment[ORDER_VARIABLE])
    url = environment.get(URL_VARIABLE, "")
    directory = Path(order.directory)
    if not order.directory or not directory.is_dir():
        directory = Path.cwd()
    experiment = validated({**order.value, "bus": {"url": url}}, directory)
    return serving.ServeTask(
        experiment=experiment,
        directory=directory,
        roles=serving.known_roles([order.role]),
        bus_url=url,
        data=_data(environment, order, experiment.experiment.name),
        port=experiment.section(ConsoleSection).port,
        systems=order.systems,
        service=login_of_environment(environment),
    )


def _data(environment: Mapping[str, str], order: ServiceOrder, name: str) -> Path:
    if place := environment.get(DATA_VARIABLE) or order.data:
        return Path(place)
    state = environment.get("XDG_STATE_HOME") or Path(environment.get("HOME", "/tmp")) / ".local" / "state"  # noqa: S108
    return Path(state) / "countingroom" / name
