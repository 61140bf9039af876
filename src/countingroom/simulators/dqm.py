"""A simulated upstream of the DQM^2 kind: a farm that answers `sync_request` and `request_documents`.

Over HTTP (`POST /sync_proxy`, `POST /redirect?path=HOST` for the other computers, `POST /_upload/`) and over a
WebSocket (`/sync`); `GET /cr/exe?what=get_cluster_status` tells which computers are up, other actions are in
`dqm_control.py`. A new lumi section comes every few seconds, a new run on request.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, cast

import uvicorn
from fastapi import FastAPI, Request, Response, WebSocket, WebSocketDisconnect

from countingroom.core.clock import Clock, SystemClock
from countingroom.core.errors import NotFound
from countingroom.core.messages import CommandSpec, Parameter
from countingroom.core.points import Type
from countingroom.core.values import Scalar
from countingroom.simulators.arguments import number, text
from countingroom.simulators.dqm_control import FarmControl
from countingroom.simulators.dqm_farm import Farm, FarmComputer
from countingroom.simulators.tcp_server import HOST

_LUMI_S = 5.0
_HOST = Parameter(name="host", type=Type.STRING)


class DqmSimulator:
    """A farm behind one port of loopback."""

    faults = (
        CommandSpec(name="run", description="end the run and begin the next"),
        CommandSpec(name="drop", description="end the connections and refuse new ones"),
        CommandSpec(
            name="crash",
            description="let a client end with an error",
            parameters=(Parameter(name="client", type=Type.STRING),),
        ),
        CommandSpec(name="dead", description="let a computer not answer any more", parameters=(_HOST,)),
        CommandSpec(name="refuse", description="answer everything with status 500"),
        CommandSpec(name="freeze", description="answer nothing until restore"),
        CommandSpec(name="garbage", description="answer with what is no JSON"),
        CommandSpec(
            name="lose", description="lose the newest document of a computer, and keep its header", parameters=(_HOST,)
        ),
        CommandSpec(
            name="foreign",
            description="let the builders write headers of other kinds",
            parameters=(Parameter(name="headers", type=Type.INT),),
        ),
        CommandSpec(name="hold", description="no new lumi sections"),
        CommandSpec(name="markup", description="logs hold HTML"),
        CommandSpec(name="long", description="logs are 3 MB long"),
        CommandSpec(name="echo", description="answer actions with the secret that came with them"),
        CommandSpec(name="restore", description="end every fault; what is written stays"),
    )

    def __init__(self, parameters: Mapping[str, Any], *, clock: Clock | None = None) -> None:
        """`parameters`: `fu`, `bu`, `clients`, `log_bytes`, `seed` of the farm; `lumi_s`; `port`."""
        self._clock = clock or SystemClock()
        known = {key: int(parameters[key]) for key in ("fu", "bu", "clients", "log_bytes", "seed") if key in parameters}
        self.farm = Farm(**known)
        self._lumi_s = float(parameters.get("lumi_s") or _LUMI_S)
        self._port = int(parameters.get("port") or 0)
        self._dead: set[str] = set()
        self._refuses = self._garbage = self._holds = False
        self._frozen = self._echoes = False
        self.control = FarmControl(self.farm)
        self._changed = asyncio.Condition()
        self._life: asyncio.Task[None] | None = None
        self._server: uvicorn.Server | None = None
        self._serving: asyncio.Task[None] | None = None
        self.farm.begin_run(self._now_s())

    async def start(self) -> Mapping[str, Any]:
        """Listen; the address, and the names of the computers."""
        self._listen()
        self._life = asyncio.create_task(self._live())
        return {"url": f"http://{HOST}:{self._port}", "hosts": " ".join(self.farm.computers)}

    async def stop(self) -> None:
        """End the server."""
        self._end_faults()
        await self._wake()
        if self._life:
            self._life.cancel()
            await asyncio.wait([self._life])
        await self._drop()

    def _listen(self) -> None:
        listening = socket.create_server((HOST, self._port), backlog=100)
        self._port = listening.getsockname()[1]
        settings = uvicorn.Config(self._app(), log_level="error", lifespan="off", ws="websockets-sansio")
        self._server = uvicorn.Server(settings)
        self._serving = asyncio.create_task(self._server.serve(sockets=[listening]))

    async def _drop(self) -> None:
        if self._server and self._serving:
            self._server.should_exit = self._server.force_exit = True
            await asyncio.wait([self._serving])
            self._server = self._serving = None

    async def fault(self, name: str, arguments: Mapping[str, Scalar]) -> None:
        """Make it happen."""
        now_s = self._now_s()
        match name:
            case "run":
                self.farm.begin_run(now_s)
            case "crash":
                if not self.farm.crash(client := text(arguments, "client"), now_s):
                    raise NotFound(f"no client {client} is in this run")
            case "dead":
                self._dead.add(self._computer(text(arguments, "host")).hostname)
            case "lose":
                computer = self._computer(text(arguments, "host"))
                if not computer.ids or not computer.lose(computer.ids[-1]):
                    raise NotFound(f"{computer.hostname} has no document to lose")
            case "foreign":
                self.farm.foreign(int(number(arguments, "headers")), now_s)
            case "refuse":
                self._refuses = True
            case "garbage":
                self._garbage = True
            case "hold":
                self._holds = True
            case "markup":
                self.control.has_markup = True
            case "long":
                self.control.is_long = True
            case "echo":
                self._echoes = True
            case "freeze":
                self._frozen = True
            case "drop":
                await self._drop()
            case "restore":
                self._end_faults()
                await self._wake()
                if self._server is None:
                    self._listen()
            case _:
                raise NotFound(f"a simulated farm has no fault {name}")

    def _end_faults(self) -> None:
        self._dead.clear()
        self._refuses = self._garbage = self._holds = self._frozen = self._echoes = False
        self.control.has_markup = self.control.is_long = False

    async def _wake(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    def _computer(self, name: str) -> FarmComputer:
        short = name.partition(".")[0]
        if short not in self.farm.computers:
            known = ", ".join(self.farm.computers)
            raise NotFound(f"the farm has no computer {name}", suggestion=f"choose one of {known}")
        return self.farm.computers[short]

    def _now_s(self) -> float:
        return self._clock.now_ns() / 1e9

    async def _live(self) -> None:
        while True:
            await self._clock.sleep(self._lumi_s)
            if not self._holds:
                self.farm.go_on(self._now_s())

    def _app(self) -> FastAPI:
        app = FastAPI(openapi_url=None)
        first = next(iter(self.farm.computers.values()))

        async def sync_proxy(request: Request) -> Response:
            return await self._proxied(await request.body(), first)

        async def redirect(request: Request) -> Response:
            name = request.query_params.get("path", "").partition(".")[0]
            if name not in self.farm.computers:
                return Response(status_code=502)
            return await self._proxied(await request.body(), self.farm.computers[name])

        async def exe(request: Request) -> Response:
            given = dict(request.query_params)
            what = given.pop("what", "")
            return await self._acted(request, lambda: self._executed(what, given))

        async def info(request: Request) -> Response:
            return await self._acted(request, lambda: {"name": "simulated farm", "run": self.farm.run})

        async def utility(request: Request, name: str, of: str) -> Response:
            return await self._acted(request, lambda: self.control.utility(name, of, self._now_s()))

        async def command(request: Request, of: str, word: str) -> Response:
            return await self._acted(request, lambda: self.control.command(of, word, self._now_s()))

        async def upload(request: Request) -> Response:
            for document in json.loads(await request.body())["docs"]:
                first.put(document)
            return Response("{}", media_type="application/json")

        async def sync(websocket: WebSocket) -> None:
            await websocket.accept()
            with suppress(WebSocketDisconnect):
                while True:
                    asked = await websocket.receive_text()
                    await self._gate(first)
                    for answer in answers(asked, first):
                        await websocket.send_text(answer)

        app.add_api_route("/sync_proxy", sync_proxy, methods=["POST"])
        app.add_api_route("/redirect", redirect, methods=["POST"])
        app.add_api_route("/cr/exe", exe, methods=["GET"])
        app.add_api_route("/info", info, methods=["GET"])
        app.add_api_route("/utils/{name}/{of}", utility, methods=["GET"])
        app.add_api_route("/utils/control_command/{of}/{word}", command, methods=["GET"])
        app.add_api_route("/_upload/", upload, methods=["POST"])
        app.add_api_websocket_route("/sync", sync)
        return app

    def _executed(self, what: str, given: Mapping[str, str]) -> Any:
        if what == "get_cluster_status":
            return [[name, name not in self._dead, self._message(name)] for name in self.farm.computers]
        return self.control.execute(what, given, self._now_s())

    async def _acted(self, request: Request, act: Callable[[], Any]) -> Response:
        await self._gate(None)
        if self._refuses:
            return Response("<h1>Internal Server Error</h1>", status_code=500)
        if self._garbage:
            return Response("<html>an error page", media_type="text/html")
        if self._echoes:
            return Response(f"cookies: {request.headers.get('cookie', 'none')}", media_type="text/plain")
        try:
            return Response(json.dumps(act()), media_type="application/json")
        except (KeyError, ValueError) as error:
            return Response(f"not here: {error}", status_code=404)

    async def _proxied(self, body: bytes, computer: FarmComputer) -> Response:
        await self._gate(computer)
        if self._refuses:
            return Response(status_code=500)
        if self._garbage:
            return Response("<html>an error page", media_type="text/html")
        try:
            asked = cast("Sequence[str]", json.loads(body)["messages"])
            said = [answer for one in asked for answer in answers(one, computer)]
        except (ValueError, KeyError, TypeError):
            return Response(status_code=500)
        return Response(json.dumps({"messages": said}), media_type="application/json")

    def _message(self, name: str) -> str:
        return f"no answer from {name} within 5 s" if name in self._dead else ""

    async def _gate(self, computer: FarmComputer | None) -> None:
        """Wait while frozen, or where this computer is dead."""
        name = computer.hostname if computer else ""
        async with self._changed:
            await self._changed.wait_for(lambda: not self._frozen and name not in self._dead)


def answers(asked: str, computer: FarmComputer) -> list[str]:
    """The messages that answer one. ValueError or KeyError for one that is not understood."""
    message = cast("Mapping[str, Any]", json.loads(asked))
    match message["event"]:
        case "sync_request":
            return _update_headers(computer, message.get("known_rev"))
        case "request_documents":
            documents = computer.documents([str(one) for one in message["ids"]])
            return [json.dumps({"event": "update_documents", "documents": documents})]
        case other:
            raise ValueError(other)


def _update_headers(computer: FarmComputer, known_rev: int | None) -> list[str]:
    """Headers in batches; nothing where there are none."""
    batches = list(computer.headers(known_rev))
    available = sum(map(len, batches))
    sent = 0
    said: list[str] = []
    for batch in batches:
        sent += len(batch)
        message = {
            "event": "update_headers",
            "rev": [batch[0].rev, batch[-1].rev],
            "sync_to_rev": batch[-1].rev,
            "headers": [one.shown() for one in batch],
            "total_sent": sent,
            "total_avail": available,
        }
        said.append(json.dumps(message))
    return said
