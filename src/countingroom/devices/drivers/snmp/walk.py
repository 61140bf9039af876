"""Asks an agent for all that is below an OID."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from countingroom.core.errors import DeviceError
from countingroom.core.snmp import ber
from countingroom.core.snmp.ber import Oid
from countingroom.core.snmp.pdu import GET_BULK, GET_NEXT, NO_ERROR, NO_SUCH_NAME, TOO_BIG, Varbind, asked, error_name
from countingroom.devices.drivers.snmp.connection import SnmpConnection
from countingroom.devices.drivers.snmp.description import SnmpSection
from countingroom.devices.drivers.snmp.security import security_of

_AT_ONCE = 20
_NOT_A_VALUE = (ber.NULL, ber.NO_SUCH_OBJECT, ber.NO_SUCH_INSTANCE)


async def walk(section: SnmpSection, below: Oid) -> AsyncGenerator[Varbind]:
    """Every value below the OID, in its order. LinkError where the agent does not answer; DeviceError where it answers
    with an error, or goes round in a circle."""
    source = f"{section.host}:{section.port}"
    security = security_of(section, source)
    connection = SnmpConnection(source, security, section.timeout, section.retries)
    await connection.open(section.host, section.port)
    last, most = below, _AT_ONCE if security.has_bulk else 0
    try:
        while True:
            if most:
                answer = await connection.ask(GET_BULK, asked([last]), index=most)
            else:
                answer = await connection.ask(GET_NEXT, asked([last]))
            if answer.error == NO_SUCH_NAME or (answer.error == NO_ERROR and not answer.varbinds):
                return
            if answer.error == TOO_BIG and most > 1:
                most //= 2
                continue
            if answer.error != NO_ERROR:
                raise DeviceError(f"the agent answers {error_name(answer.error)}", source=source)
            for one in answer.varbinds:
                if one.tag == ber.END_OF_MIB or one.oid[: len(below)] != below:
                    return
                if one.oid <= last:
                    raise DeviceError(
                        f"behind {ber.dotted(last)} the agent answers {ber.dotted(one.oid)}, which is before it",
                        source=source,
                        suggestion="ask for a smaller part with --from",
                    )
                last = one.oid
                if one.tag not in _NOT_A_VALUE:
                    yield one
    finally:
        connection.close()
