"""The original actors of SDSS, run by the Python of `make clu`: two cameras, and fliswarm over a Docker of this file.

`python originals.py`: prints one JSON line with the ports, then serves until it is killed.
"""

# pyright: basic
# pyright: reportMissingImports=false, reportAttributeAccessIssue=false, reportOptionalMemberAccess=false

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import warnings
from typing import Any

import click
import fliswarm.node
from clu import JSONActor
from clu.parsers.click import CluGroup, command_parser
from fliswarm.actor import FLISwarmActor

warnings.simplefilter("ignore")
NODES = ("gfa1", "gfa2")


class Camera(JSONActor):
    """A camera that exposes at once."""


BUILT_IN = ("ping", "version", "help", "get_schema", "keyword", "get-command-model")
built_in = {name: command_parser.commands[name] for name in BUILT_IN}
exposing = CluGroup("camera", commands=dict(built_in))


@exposing.command()
@click.argument("seconds", type=float)
async def expose(command: Any, seconds: float) -> None:
    """Exposes."""
    name = command.actor.name
    command.info(status={"camera": name, "temperature": -20.5})
    command.finish(filename={"camera": name, "filename": f"/data/{name}.fits"})


class Plain(JSONActor):
    """An actor with the commands of CLU alone."""

    parser = CluGroup("plain", commands=dict(built_in))


class Container:
    """The container of a camera."""

    short_id = "0123456789ab"


class Containers:
    """Those of a node."""

    def list(self, **_: Any) -> list[Container]:
        return [Container()]


class DockerClient:
    """A Docker whose one container runs."""

    def __init__(self, *_: Any, **__: Any) -> None:
        self.containers = Containers()

    def ping(self) -> bool:
        return True

    def close(self) -> None:
        pass


async def always(*_: Any, **__: Any) -> bool:
    return True


async def main() -> None:
    Camera.parser = exposing
    ports: dict[str, int] = {}
    for name in NODES:
        camera = Camera(name, "127.0.0.1", 0, version="1.0", additional_properties=True)
        await camera.start()
        ports[name] = camera.server._server.sockets[0].getsockname()[1]
    plain = await Plain("camera", "127.0.0.1", 0, version="1.0").start()
    ports["camera"] = plain.server._server.sockets[0].getsockname()[1]
    fliswarm.node.DockerClient = DockerClient
    fliswarm.node.Node.ping = always
    swarm = FLISwarmActor.from_config(
        {
            "actor": {"name": "fliswarm", "host": "127.0.0.1", "port": 0, "additional_properties": True},
            "registry": None,
            "image": "sdss/flicamera:latest",
            "container_name": "flicamera",
            "ping_timeout": 0.6,
            "enabled_nodes": {"APO": list(NODES)},
            "nodes": {
                "APO": {
                    name: {
                        "user": "sdss",
                        "host": "127.0.0.1",
                        "port": ports[name],
                        "docker-client": f"tcp://127.0.0.1:{place}",
                        "category": "gfa",
                    }
                    for place, name in enumerate(NODES, start=2001)
                }
            },
            "volumes": {},
        }
    )
    await swarm.start()
    ports["fliswarm"] = swarm._server._server.sockets[0].getsockname()[1]
    sys.stdout.write(json.dumps(ports) + "\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


os.environ["OBSERVATORY"] = "APO"
logging.disable()
asyncio.run(main())
