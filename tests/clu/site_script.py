"""A script of a site for fliswarm, as it was written for the original: expose with all cameras, and tell the files.

`python site_script.py PORT`: with the client of clu. Status 0 where the cameras have exposed.
"""

# pyright: basic
# pyright: reportMissingImports=false, reportAttributeAccessIssue=false, reportOptionalMemberAccess=false

from __future__ import annotations

import asyncio
import re
import sys

from clu.protocol import open_connection

REPLY = re.compile(r"(\d+) (\d+) ([>:fe!iwd]) ?(.*)")


async def main() -> int:
    client = await open_connection("127.0.0.1", int(sys.argv[1]))
    assert client.reader and client.writer

    async def ask(number: int, command: str) -> tuple[str, list[str]]:
        client.writer.write(f"{number} {command}\n".encode())
        said: list[str] = []
        while True:
            match = REPLY.match((await client.reader.readline()).decode())
            assert match
            if int(match[2]) == number and match[1] != "0":
                if match[3] in ":f":
                    return match[3], said
                said += [word.strip() for word in match[4].split(";")]

    _, said = await ask(1, "status")
    nodes = next(word for word in said if word.startswith("enabledNodes=")).partition("=")[2].split(",")
    alive = [word.split("=")[1].split(",")[0] for word in said if word.startswith("node=") and word.endswith("T,T")]
    sys.stdout.write(f"{len(alive)} of {len(nodes)} cameras: {','.join(sorted(alive))}\n")
    code, said = await ask(2, "talk expose 1")
    [files] = [word.partition("=")[2] for word in said if word.startswith("filename_bundle=")]
    sys.stdout.write("\n".join(sorted(files.split(","))) + "\n")
    client.close()
    return 0 if code == ":" and alive == nodes else 1


sys.exit(asyncio.run(main()))
