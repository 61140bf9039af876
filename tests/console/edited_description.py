"""A description in files that the test edits, with the reload of `up` over it; its processes take every order."""

from __future__ import annotations

from pathlib import Path

from countingroom.app.child_process import launch
from countingroom.app.reload.candidate import CandidateQuestion, ReloadCandidate
from countingroom.app.reload.under_up import UpReload
from countingroom.bus.port import Bus
from countingroom.cli.reload_candidate import made
from countingroom.core.clock import Clock
from countingroom.core.reload.messages import ReloadOrder, ReloadReply

_TEXT = """experiment: {name: edited}
devices:
  bath:
    driver: modbus
    host: 127.0.0.1
    port: 20000
    registers: { t: { address: 1, type: float32 } }
"""


class PlayedProcess:
    """Takes every order, and starts again at once."""

    async def ask(self, order: ReloadOrder, within_s: float) -> ReloadReply:
        return ReloadReply(id=order.id)

    async def restart(self) -> None: ...


class EditedUp(UpReload):
    """The reload of `up`, that checks the files in this process."""

    def __init__(self, bus: Bus, clock: Clock, folder: Path) -> None:
        self.path = folder / "experiment.yaml"
        self.edit()
        self.question = CandidateQuestion(description=str(self.path), simulate=False)
        started = made(self.question).content
        assert started is not None
        children = {name: PlayedProcess() for name in ("devices", "history", "alarms")}
        super().__init__(
            bus, clock, children, launch, self.question, folder, started, simulated=lambda overrides, devices: None
        )

    def edit(self, *lines: str) -> None:
        """Write the file, with these further lines of the device."""
        self.path.write_text(_TEXT + "".join(f"    {line}\n" for line in lines))

    async def candidate(self) -> ReloadCandidate:
        return made(self.question)
