"""The actions of a simulated farm: `GET /cr/exe?what=…` and `GET /utils/…` have effects on it, or tell of it, pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from countingroom.simulators.dqm_farm import Farm, FarmComputer

RUN_KEYS = ("pp_run", "cosmic_run", "hi_run")
_MARKUP = '<script>document.title = "taken"</script><img src=x onerror="document.title = \'taken\'">'
_LONG = 3_000_000
SOCKETS = ("simulator", "filemonitor", "deleter")


class FarmControl:
    """What people changed at a farm."""

    def __init__(self, farm: Farm) -> None:
        self.farm = farm
        self.done: list[str] = []
        """Each change, in the order in which it was asked for."""
        self.has_markup = False
        """Logs hold HTML."""
        self.is_long = False
        """Logs are longer than anything that keeps them."""
        self._off: set[tuple[str, str]] = set()

    def execute(self, what: str, given: Mapping[str, str], now_s: float) -> Any:
        """The answer to an action. KeyError or ValueError for one that is not known, or has a wrong argument."""
        match what:
            case "get_dqm_machines":
                kinds = {"fu": list(self._names("fu")), "bu": list(self._names("dqmrubu"))}
                return kinds[given["kind"]] if given.get("kind") else kinds
            case "get_cmssw_info":
                return {"release": "CMSSW_15_0_3", "architecture": "el9_amd64_gcc12"}
            case "get_hltd_versions":
                return dict.fromkeys(self.farm.computers, "hltd-3.2.1-0")
            case "get_fff_versions":
                return dict.fromkeys(self.farm.computers, "fff-dqmtools-2.0.4")
            case "start_playback_run":
                return self._start_run(given, now_s)
            case _:
                return self._at_computer(what, self.farm.computers[given["host"].partition(".")[0]], given)

    def utility(self, name: str, of: str, now_s: float) -> Any:
        """The answer to `/utils/NAME/OF`. KeyError for what is not there."""
        if name == "show_log":
            return "\n".join(self._log(str(self._document(of)["tag"])))
        if name == "kill_proc":
            client = str(self._document(of)["tag"]).partition("_")[0]
            if not self.farm.crash(client, now_s):
                raise KeyError(of)
            return self._did(f"killed {client}")
        raise KeyError(name)

    def command(self, socket: str, command: str, now_s: float) -> Any:
        """The answer to `/utils/control_command/SOCKET/COMMAND`. KeyError for what is not there."""
        if socket not in SOCKETS:
            raise KeyError(socket)
        match command:
            case "status":
                return {"socket": socket, "status": "running", "lumi": self.farm.lumi}
            case "next_run":
                self.farm.begin_run(now_s)
            case "next_lumi":
                self.farm.go_on(now_s)
            case "restart" | "make_it_crash":
                pass
            case other:
                raise KeyError(other)
        return self._did(f"{command} {socket}")

    def _at_computer(self, what: str, computer: FarmComputer, given: Mapping[str, str]) -> Any:
        name = computer.hostname
        match what:
            case "get_dqm_clients":
                clients = sorted({str(one["tag"]) for one in computer.documents(computer.ids) if one.get("tag")})
                return [[client, int((name, client) not in self._off)] for client in clients]
            case "change_dqm_client":
                client, state = given["client"], int(given["state"])
                (self._off.discard if state else self._off.add)((name, client))
                return self._did(f"{client} of {name} is {'on' if state else 'off'}")
            case "restart_hltd" | "restart_fff":
                return self._did(f"{what} {name}")
            case "get_hltd_logs" | "get_fff_logs":
                tool = what.split("_")[1]
                return {f"{tool}.log": "\n".join(self._log(tool)), f"{tool}-error.log": "no errors\nsince the start"}
            case "get_simulator_config":
                return {"source": f"/fff/playback/{name}", "lumi_s": 23.31}
            case "get_simulator_runs":
                return [[390_000 + one, RUN_KEYS[one % len(RUN_KEYS)], 100 + one] for one in range(5)]
            case other:
                raise KeyError(other)

    def _start_run(self, given: Mapping[str, str], now_s: float) -> str:
        if given["run_key"] not in RUN_KEYS:
            raise ValueError(given["run_key"])
        number, lumis = int(given["run_number"]), int(given["number_of_ls"])
        self.farm.begin_run(now_s)
        return self._did(f"plays run {number} with {lumis} lumi sections as run {self.farm.run}")

    def _did(self, what: str) -> str:
        self.done.append(what)
        return what

    def _names(self, begin: str) -> list[str]:
        return [name for name in self.farm.computers if name.startswith(begin)]

    def _document(self, id: str) -> dict[str, Any]:
        for computer in self.farm.computers.values():
            for one in computer.documents([id]):
                return one
        raise KeyError(id)

    def _log(self, of: str) -> list[str]:
        lines = [f"2026-11-30 12:00:{one:02d} INFO {of}: looked at {self.farm.lumi + one} files" for one in range(40)]
        if self.has_markup:
            lines.insert(0, f"2026-11-30 12:00:00 WARNING {of}: name of a file: {_MARKUP}")
        return lines + (["x" * 99] * (_LONG // 100) if self.is_long else [])
