"""Who asks the agent: a community, or a user of version 3. Puts requests into messages, and takes answers out of them.

Communities and passwords are read at each connection and stand in no error. No I/O but reading them.
"""

from __future__ import annotations

import secrets
from typing import Protocol

from countingroom.core.errors import ConfigurationError, LinkError
from countingroom.core.snmp import usm
from countingroom.core.snmp.ber import BerError
from countingroom.core.snmp.pdu import (
    GET,
    REPORT,
    SET,
    VERSIONS,
    Pdu,
    decode_message,
    encode_message,
)
from countingroom.core.snmp.usm import Keys, V3Message
from countingroom.devices.drivers.snmp.description import LEAST_PASSWORD, SnmpSection

_PUBLIC = "public"


class Security(Protocol):
    """One version of SNMP, with what it needs to be answered."""

    silent: str
    """What to look at when the agent does not answer."""

    @property
    def has_bulk(self) -> bool:
        """Whether there is GET_BULK."""
        ...

    def wrapped(self, pdu: Pdu) -> bytes:
        """The message with this request. The agent may have to tell what it is first (`adopt`)."""
        ...

    def opened(self, data: bytes, request_id: int) -> Pdu | None:
        """The answer to this request, or a report; None for one to another request. BerError, with the reason, where it
        is no message, or not of this agent."""
        ...

    def adopt(self, report: Pdu) -> None:
        """Take over what a report says of the agent; LinkError where it is a refusal."""
        ...


def security_of(section: SnmpSection, source: str) -> Security:
    """ConfigurationError where a secret cannot be read."""
    if section.version == "3":
        return UserSecurity(section, source)
    return CommunitySecurity(section, source)


class CommunitySecurity:
    """Versions 1 and 2c."""

    silent = (
        "check that the device is on, its host and port, and that its SNMP agent is enabled for this version and this"
        " computer; a wrong community is not answered either"
    )

    def __init__(self, section: SnmpSection, source: str) -> None:
        self._version = VERSIONS[section.version]
        reading = section.community.read(source) if section.community else _PUBLIC
        self._reading = reading.encode()
        self._writing = section.write_community.read(source).encode() if section.write_community else self._reading

    @property
    def has_bulk(self) -> bool:
        return self._version > 0

    def wrapped(self, pdu: Pdu) -> bytes:
        return encode_message(self._version, self._writing if pdu.kind == SET else self._reading, pdu)

    def opened(self, data: bytes, request_id: int) -> Pdu | None:
        _, _, pdu = decode_message(data)
        return pdu if pdu.request_id == request_id else None

    def adopt(self, report: Pdu) -> None:
        raise LinkError("the agent answers with a report, which this version does not have")


class UserSecurity:
    """Version 3."""

    silent = (
        "check that the device is on, its host and port, and that its SNMP agent is enabled for version 3 and this"
        " computer; some agents do not answer a wrong `privacy_password`"
    )
    has_bulk = True

    def __init__(self, section: SnmpSection, source: str) -> None:
        self._source = source
        self._user = section.user
        self._context = section.context.encode()
        self._protocol = section.authentication
        self._signing = self._encrypting = b""
        if section.password:
            password = _password(section.password.read(source), "password", source)
            self._signing = usm.password_key(password, self._protocol)
        if section.privacy:
            given = section.privacy_password
            private = _password(given.read(source), "privacy_password", source) if given else ""
            self._encrypting = usm.password_key(private, self._protocol) if private else self._signing
        self._keys = Keys()
        self._engine_id = b""
        self._boots = self._time_s = 0
        self._salt = secrets.randbits(64)

    def wrapped(self, pdu: Pdu) -> bytes:
        if not self._engine_id:
            question = Pdu(GET, pdu.request_id, ())
            return usm.encode(V3Message(pdu.request_id, question, usm.IS_REPORTABLE), Keys())
        self._salt = (self._salt + 1) % (1 << 64)
        message = V3Message(
            pdu.request_id,
            pdu,
            usm.IS_REPORTABLE,
            self._engine_id,
            self._boots,
            self._time_s,
            self._user.encode(),
            context=self._context,
        )
        return usm.encode(message, self._keys, self._salt.to_bytes(8, "big"))

    def opened(self, data: bytes, request_id: int) -> Pdu | None:
        message = usm.decode(data)
        if message.message_id != request_id:
            return None
        is_genuine = usm.is_genuine(data, message, self._keys)
        if message.flags & usm.IS_SIGNED and not is_genuine:
            raise BerError("the signature of the answer is wrong")
        message = usm.decrypted(message, self._keys)
        pdu = message.pdu
        if pdu is None:
            raise BerError("the message has no PDU")
        if pdu.kind == REPORT:
            self._of_report(message, pdu)
            return pdu
        if message.engine_id != self._engine_id or message.user != self._user.encode():
            raise BerError("the answer is of another agent or user")
        if self._keys.flags & ~message.flags:
            raise BerError("the answer is not protected as the question was")
        if (message.boots, message.time_s) > (self._boots, self._time_s):
            self._boots = message.boots
            self._time_s = message.time_s
        return pdu if pdu.request_id == request_id else None

    def adopt(self, report: Pdu) -> None:
        said = report.varbinds[0].oid if report.varbinds else ()
        if said in (usm.UNKNOWN_ENGINE, usm.NOT_IN_TIME_WINDOW):
            return
        reasons = {
            usm.UNKNOWN_USER: ("does not know the user", "check `user`, and the users of the agent"),
            usm.WRONG_DIGEST: (
                "refuses the signature of the user",
                "check `password`, and whether the agent has the same `authentication` for this user",
            ),
            usm.DECRYPTION_ERROR: (
                "cannot decrypt what it gets from the user",
                "check `privacy_password`, and whether the agent has the same `privacy` for this user",
            ),
            usm.UNSUPPORTED_LEVEL: (
                f"does not take messages that are {self._level()} from the user",
                "check which of `authentication` and `privacy` the agent demands of this user",
            ),
        }
        what, suggestion = reasons.get(
            said, ("sends a report that is not known for the user", CommunitySecurity.silent)
        )
        raise LinkError(
            f"the agent at {self._source} {what} {self._user}",
            code="wrong_credentials",
            source=self._source,
            suggestion=suggestion,
        )

    def _of_report(self, message: V3Message, pdu: Pdu) -> None:
        """The agent says which one it is, or the time that it has since its restart."""
        said = pdu.varbinds[0].oid if pdu.varbinds else ()
        if said == usm.UNKNOWN_ENGINE and message.engine_id:
            self._engine_id = message.engine_id
            self._boots = message.boots
            self._time_s = message.time_s
            signing = usm.localized(self._signing, self._engine_id, self._protocol) if self._signing else b""
            encrypting = usm.localized(self._encrypting, self._engine_id, self._protocol) if self._encrypting else b""
            self._keys = Keys(self._protocol, signing, encrypting)
        elif said == usm.NOT_IN_TIME_WINDOW and message.engine_id == self._engine_id:
            self._boots = message.boots
            self._time_s = message.time_s

    def _level(self) -> str:
        if self._encrypting:
            return "encrypted"
        return "signed and not encrypted" if self._signing else "not signed"


def _password(given: str, key: str, source: str) -> str:
    if len(given) < LEAST_PASSWORD:
        raise ConfigurationError(
            f"the {key} of version 3 has less than {LEAST_PASSWORD} characters",
            source=source,
            code="no_secret",
            suggestion="write the password of the user at the agent there",
        )
    return given
