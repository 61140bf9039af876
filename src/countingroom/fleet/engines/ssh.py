"""The ssh engine: instances are programs of another computer, each with a runner there that outlives the connection.

The node needs no part of countingroom: `node.sh` is put there at each connection and keeps the instances with a POSIX
shell. Everything goes over the standard input of a shell, so that no value stands in a list of processes.
"""

from __future__ import annotations

import math
import re
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing
from hashlib import blake2b
from importlib.resources import files
from pathlib import Path

import msgspec

from countingroom.core.clock import Clock
from countingroom.core.errors import DeviceError, LinkError, NotFound
from countingroom.core.fleet.node_answers import log_lines, node_answer, usb_devices
from countingroom.core.fleet.specs import InstanceId, ServiceSpec, WantedNode
from countingroom.core.fleet.usb import UsbDevice, usb_environment
from countingroom.fleet.engines.lease_guard import MayAct, check_lease
from countingroom.fleet.engines.port import EngineFacts, EngineInstance, EngineUse, LogLine, MakeOrder, Progress
from countingroom.fleet.engines.process import Made
from countingroom.fleet.engines.shell_text import exports, order_text, place, quoted, words
from countingroom.fleet.engines.ssh_connection import SshConnection, in_block
from countingroom.fleet.secrets import read_secrets

_NS = 1_000_000_000
_AHEAD_S = 2
"""A smaller difference of clocks is left alone: the node tells whole seconds."""
_SPARE_S = 5
"""What a runner may take beyond the time of grace before it is killed."""
_DEADLINE_S = 15.0
_TAIL_BYTES = 1 << 20
_TOOLS = ("setsid", "flock", "mkfifo", "dd", "env", "grep", "sed", "tail", "wc", "timeout", "date", "uname", "mv", "rm")
_PROBE = """
for tool in {tools}; do
    command -v "$tool" >/dev/null || {{ echo "wrong $tool is not there"; exit; }}
done
[ -r /proc/sys/kernel/random/boot_id ] || {{ echo "wrong it is no Linux with /proc"; exit; }}
umask 077
cd && mkdir -p {folder} && cd {folder} || {{ echo "wrong the folder "{folder}" cannot be made"; exit; }}
if [ ! -f {self} ]; then
    printf %s {text} >{self}.$$ && mv -f {self}.$$ {self} || {{ echo "wrong "{folder}" cannot be written to"; exit; }}
fi
read -r boot </proc/sys/kernel/random/boot_id
echo "ready $boot $(date +%s) $(uname -sr | tr ' ' '-') $(pwd -P)"
"""


_NO_STATE = ("0", "0", "0", "-", "0")
"""Running, process number, since, exit status, ends in a row; before the runner told any."""


class SshEngine:
    """The programs of one node that is reached by ssh."""

    def __init__(
        self, clock: Clock, experiment: str, node: WantedNode, directory: Path, sysfs: str = "/sys/bus/usb/devices"
    ) -> None:
        """`directory`: of the description, for the files of keys. `sysfs`: the USB devices of the node."""
        self._sysfs = sysfs
        self._clock = clock
        self._source = f"fleet.nodes.{node.name}"
        self._reach = node.ssh
        self._where = node.address
        self._connection = SshConnection(node.address, node.ssh, directory, self._source)
        head = re.sub(r"[^A-Za-z0-9_-]+", "-", experiment).strip("-_") or "countingroom"
        self._folder = f"{node.ssh.folder}/{head}/{node.name}"
        self._base = ""
        self._text = files("countingroom.fleet.engines").joinpath("node.sh").read_text()
        self._self = f"node-{blake2b(self._text.encode(), digest_size=8).hexdigest()}.sh"
        self._ahead_ns = 0
        self._secrets: dict[InstanceId, Mapping[str, str]] = {}
        self._seen: dict[InstanceId, EngineInstance] = {}
        self.may_act: MayAct = lambda: True
        """Asked before each script that changes something: what a script does is done to its end."""

    async def connect(self) -> EngineFacts:
        await self._connection.open()
        probe = _PROBE.format(
            tools=words(_TOOLS), folder=quoted(self._folder), self=self._self, text=quoted(self._text)
        )
        said = (await self._connection.run(in_block(probe), f"{self._where} could not be prepared")).decode().strip()
        kind, _, rest = said.rpartition("\n")[2].partition(" ")
        if kind != "ready":
            await self._connection.close()
            raise LinkError(
                f"{self._where} cannot run programs: {rest or said or 'its shell did not answer'}",
                source=self._source,
                code="node_unfit",
                suggestion="it needs Linux with coreutils, util-linux and grep, and a folder that its user may write",
            )
        boot, now, system, self._base = rest.split(" ", 3)
        ahead_s = int(now) - round(self._clock.now_ns() / _NS)
        self._ahead_ns = ahead_s * _NS if abs(ahead_s) > _AHEAD_S else 0
        return EngineFacts(engine=f"ssh, {system.replace('-', ' ', 1)}", boot=boot)

    async def instances(self) -> Sequence[EngineInstance]:
        said = await self._call("list", f"the programs of {self._where} could not be listed")
        *lines, last = said.strip().split("\n")
        if last != "end":
            raise LinkError(f"{self._where} listed its programs in part", source=self._source, code="link_lost")
        found = list(_instances(lines, self._ahead_ns))
        self._seen = {one.id: one for one in found}
        return found

    async def images(self) -> frozenset[str]:
        return frozenset()

    async def pull(self, image: str, progress: Progress) -> None:
        raise DeviceError(
            f"{image} cannot be pulled: this node runs programs, not images",
            source=self._source,
            suggestion="give the service a command without an image, or place it on a node with a container engine",
            code="no_images",
        )

    async def make(self, order: MakeOrder) -> None:
        await self._make(order, 0.0)

    async def replace(self, order: MakeOrder, grace_s: float) -> None:
        await self._make(order, grace_s)

    async def start(self, id: InstanceId) -> None:
        made = await self._made(id)
        variables = {"order": quoted(await self._order(made))}
        check_lease(self.may_act, self._source)
        said = await self._call(f"start_again {self._place(id)}", f"{id} could not be started", variables=variables)
        self._check_ready(said, f"{id} could not be started")

    async def remove(self, id: InstanceId, grace_s: float) -> None:
        limit_s = math.ceil(grace_s) + _SPARE_S
        what = f"{id} could not be ended"
        check_lease(self.may_act, self._source)
        said = await self._call(f"remove {self._place(id)} {limit_s}", what, _DEADLINE_S + limit_s)
        self._check_ready(said, what)
        self._secrets.pop(id, None)

    async def logs(
        self, id: InstanceId, *, tail: int, since_ns: int = 0, follow: bool = False
    ) -> AsyncGenerator[LogLine]:
        what = f"the output of {id} could not be read"
        said = await self._told(f"lines {self._place(id)} {tail:d}", what)
        for time_ns, line in log_lines(said, self._ahead_ns, since_ns):
            yield LogLine(time_ns, line)
        if follow:
            async with aclosing(self._connection.lines(self._script(f"follow {self._place(id)}"), what)) as lines:
                async for line in lines:
                    yield LogLine(self._clock.now_ns(), line)

    async def use(self) -> EngineUse:
        asked_s = self._clock.now_ns() / _NS
        said = await self._call("use", f"what {self._where} uses could not be read")
        answer = node_answer(said)
        return EngineUse(
            host=answer.host,
            clock_offset_s=answer.clock_offset_s(asked_s, self._clock.now_ns() / _NS),
            instances={id: answer.of(int(one.engine_id or 0), str(id), one.crashes) for id, one in self._seen.items()},
        )

    async def usb(self) -> Sequence[UsbDevice]:
        what = f"the USB devices of {self._where} could not be listed"
        if (found := usb_devices(await self._call(f"usb {quoted(self._sysfs)}", what))) is None:
            raise LinkError(f"{what}: the answer is cut off", source=self._source, code="link_lost")
        return found

    async def execute(self, id: InstanceId, command: Sequence[str], timeout_s: float) -> tuple[int, str]:
        made = self._seen.get(id) or await self._made(id)
        spec, environment = made.spec, await self._environment(id, made.spec, made.devices)
        script = (
            f"cd {place(spec.directory)} || exit\n{exports(environment)}"
            f"timeout -s KILL {timeout_s:g} {words(self._command(command))} </dev/null 2>&1\nprintf '\\n%s\\n' $?"
        )
        what = f"{command[0]} of {id} could not be run"
        said = await self._connection.run(in_block(script), what, timeout_s + _DEADLINE_S, most=_TAIL_BYTES)
        output, _, status = said.decode(errors="replace").rstrip("\n").rpartition("\n")
        if not status.isdigit():
            raise DeviceError(f"{what}: {said.decode(errors='replace').strip()}", source=self._source, code="engine")
        if int(status) == 137:
            return 124, f"it did not end within {timeout_s:g} s"
        return int(status), output

    async def changes(self) -> AsyncGenerator[None]:
        what = f"the changes on {self._where}"
        async with aclosing(self._connection.lines(self._script("watch"), what)) as lines:
            async for _ in lines:
                yield

    async def close(self) -> None:
        await self._connection.close()

    async def _make(self, order: MakeOrder, grace_s: float) -> None:
        id, before = order.id, ""
        if (present := await self._find(order.id)) is not None:
            before = await self._order(present)
        made = Made(
            id=id,
            digest=order.digest,
            revision=order.revision,
            change=order.change,
            spec=order.spec,
            devices=dict(order.devices),
        )
        secrets = self._secrets.get(id)
        self._secrets[id] = order.secrets
        limit_s = math.ceil(grace_s) + _SPARE_S
        variables = {
            "made": quoted(msgspec.json.encode(made).decode()),
            "order": quoted(await self._order(made)),
            "order_before": quoted(before),
        }
        what = f"{id} could not be made"
        try:
            check_lease(self.may_act, self._source)
            said = await self._call(f"make {self._place(id)} {limit_s}", what, _DEADLINE_S + limit_s, variables)
            self._check_ready(said, what)
        except DeviceError:
            if secrets is not None:
                self._secrets[id] = secrets
            raise

    async def _find(self, id: InstanceId) -> Made | None:
        said = await self._call(f"cat {self._place(id)}/made.json 2>/dev/null", f"{id} could not be looked up")
        return _decoded(said)

    async def _made(self, id: InstanceId) -> Made:
        if (made := await self._find(id)) is None:
            raise NotFound(f"there is no instance {id}", source=self._source)
        return made

    async def _order(self, made: Made) -> str:
        environment = await self._environment(made.id, made.spec, made.devices)
        return order_text(made.spec, self._command(made.spec.command), environment)

    async def _environment(
        self, id: InstanceId, spec: ServiceSpec, devices: Mapping[str, tuple[str, ...]]
    ) -> Mapping[str, str]:
        return {**spec.environment, **usb_environment(devices), **await self._secrets_of(id, spec)}

    def _command(self, command: Sequence[str]) -> list[str]:
        return [self._reach.python if word == "{python}" else word for word in command]

    async def _secrets_of(self, id: InstanceId, spec: ServiceSpec) -> Mapping[str, str]:
        if id not in self._secrets:  # it was made by a keeper before this one
            self._secrets[id] = await read_secrets(id, spec.secrets)
        return self._secrets[id]

    def _place(self, id: InstanceId) -> str:
        return quoted(f"{self._base}/{id}")

    def _script(self, call: str, variables: Mapping[str, str] | None = None) -> str:
        given = {"base": quoted(self._base), "self": self._self, **(variables or {})}
        return in_block(f'. "$base/$self" || exit\n{call}', given)

    async def _call(
        self, call: str, what: str, seconds: float = _DEADLINE_S, variables: Mapping[str, str] | None = None
    ) -> str:
        return (await self._told(call, what, seconds, variables)).decode(errors="replace")

    async def _told(
        self, call: str, what: str, seconds: float = _DEADLINE_S, variables: Mapping[str, str] | None = None
    ) -> bytes:
        if not self._base:
            raise LinkError(f"{what}: {self._where} is not connected", source=self._source, code="link_lost")
        return await self._connection.run(self._script(call, variables), what, seconds)

    def _check_ready(self, said: str, what: str) -> None:
        last = said.strip().rpartition("\n")[2]
        if last != "ready":
            raise DeviceError(
                f"{what}: {last or 'the node did not say why'}",
                source=self._source,
                code="not_started",
                suggestion="check the command of the service, and the space on the disk of the node",
            )


def _instances(lines: Sequence[str], ahead_ns: int) -> Iterator[EngineInstance]:
    """The instances of the answer to `list`."""
    made: Made | None = None
    facts: dict[str, str] = {}
    for line in (*lines, "made "):
        kind, _, rest = line.partition(" ")
        if kind == "made":
            if made:
                yield _instance(made, facts, ahead_ns)
            made, facts = _decoded(rest), {}
        else:
            facts[kind] = rest


def _instance(made: Made, facts: Mapping[str, str], ahead_ns: int) -> EngineInstance:
    told = facts.get("state", "").split(" ")
    running, pid, since, status, crashes = told if len(told) == len(_NO_STATE) else _NO_STATE
    is_running = running == "1" and "lives" in facts
    return EngineInstance(
        id=made.id,
        digest=made.digest,
        revision=made.revision,
        change=made.change,
        is_running=is_running,
        since_ns=max(int(since) * _NS - ahead_ns, 0),
        exit_status=int(status) if status.isdigit() else None,
        crashes=int(crashes),
        reason="" if is_running else facts.get("last", ""),
        spec=made.spec,
        devices=made.devices,
        engine_id=pid if is_running else "",
    )


def _decoded(text: str) -> Made | None:
    try:
        return msgspec.json.decode(text, type=Made)
    except msgspec.DecodeError:
        return None
