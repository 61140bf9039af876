"""The original client of JSON actors, `clu.device.Device`: `python device_client.py PORT COMMAND...` prints replies."""

# pyright: basic
# pyright: reportMissingImports=false, reportAttributeAccessIssue=false, reportOptionalMemberAccess=false

from __future__ import annotations

import asyncio
import json
import sys

from clu.device import Device


async def main() -> None:
    done = asyncio.Event()

    class Client(Device):
        async def process_message(self, line: str) -> None:
            reply = json.loads(line)
            sys.stdout.write(f"{reply['header']['message_code']} {json.dumps(reply['data'])}\n")
            if reply["header"]["message_code"] in ":f":
                done.set()

    device = await Client("127.0.0.1", int(sys.argv[1])).start()
    for number, command in enumerate(sys.argv[2:], start=1):
        done.clear()
        device.write(f"{number} {command}")
        await asyncio.wait_for(done.wait(), 60)
    await device.stop()


asyncio.run(main())
