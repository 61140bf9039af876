"""The section of a device with an SNMP agent: the agent, its secrets by reference, and a table of OIDs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from countingroom.core.snmp import ber
from countingroom.core.text_patterns import VALUE, is_expression, reply_pattern
from countingroom.core.yaml.secret_reference import SecretReference
from countingroom.devices.section import Address, DeviceSection, Plain, Precision, Problem, TableValue

DEFAULT_PORT = 161
LEAST_PASSWORD = 8
"""Characters of a password of version 3 (RFC 3414)."""

ValueName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_\-]+(\.[A-Za-z0-9_\-]+)?$")]
"""`name`, or `channel.column`."""


def _oid(text: str) -> str:
    return ber.dotted(ber.oid(text))


Oid = Annotated[str, AfterValidator(_oid)]
"""In numbers, with its instance: `1.3.6.1.2.1.33.1.2.1.0`."""


def _text_of_number(value: Any) -> Any:
    """A number of the file, as a text: `version: 3` is meant as it is read."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Version = Annotated[
    Literal["1", "2c", "3"], BeforeValidator(_text_of_number, json_schema_input_type=Literal["1", "2c", "3", 1, 3])
]
Syntax = Literal["", "integer", "unsigned", "counter", "ticks", "string", "address", "float", "double"]
TAGS = {
    "integer": ber.INTEGER,
    "unsigned": ber.GAUGE32,
    "counter": ber.COUNTER32,
    "ticks": ber.TIME_TICKS,
    "string": ber.OCTET_STRING,
    "address": ber.IP_ADDRESS,
    "float": ber.OPAQUE_FLOAT,
    "double": ber.OPAQUE_DOUBLE,
}
"""`syntax` -> the tag of what is sent."""


class SnmpValue(TableValue):
    """One value of the table: an OID, and how what the agent answers becomes a value."""

    oid: Oid
    type: Literal["float", "int", "bool", "string"] = "float"
    precision: Precision | None = None
    """2 for floats, 0 for the rest."""
    scale: float = 1.0
    """The value is the number of the agent times this, plus `offset`."""
    offset: float = 0.0
    words: dict[str, int] = {}
    """Word -> number of the agent: `{unknown: 1, normal: 2, low: 3}`. Another number is shown as it is."""
    true_value: int = 1
    """For a bool: the number of the agent that means true."""
    false_value: int = 0
    """For a bool: the number that means false; 2 for a TruthValue. Any other number is BAD."""
    bit: Annotated[int, Field(ge=0, le=1023)] | None = None
    """For a bool: a bit of an OctetString of the type BITS. Bit 0 is the first."""
    reply: str = VALUE
    """Where the value is in a text of the agent: `{value} V`, or a regular expression with the group `value`."""
    no_value: list[float] = []
    """Numbers of the agent that mean that there is no value: `[-1, 2147483647]`. Such a value is BAD."""
    writable: bool = False
    syntax: Syntax = ""
    """The type of what is written. Empty: that of what the agent answered."""

    def problems(self) -> Iterable[Problem]:
        """Properties that contradict each other."""
        yield from self.write_problems("writable", is_writable=self.writable)
        if self.oid in ("1.3.6.1.2.1.1.3.0",) and self.writable:
            yield ("writable",), "the time since the start of an agent cannot be written"
        try:
            reply_pattern(self.reply)
        except ValueError as error:
            yield ("reply",), str(error)
        if self.scale == 0:
            yield ("scale",), "with scale 0 every value is the same"
        if self.type in ("bool", "string"):
            if (self.scale, self.offset) != (1.0, 0.0):
                yield ("scale",), f"scale and offset are for numbers; this is {self.type}"
            if self.words:
                yield ("words",), f"words are for numbers; this is {self.type}"
        yield from self._bool_problems()
        if self.words and (self.scale, self.offset) != (1.0, 0.0):
            yield ("words",), "words are for numbers without scale and offset"
        if self.writable:
            yield from self._write_problems()
        elif self.syntax:
            yield ("syntax",), "syntax is for values with `writable: true`"

    def _bool_problems(self) -> Iterable[Problem]:
        if self.bit is not None and self.type != "bool":
            yield ("bit",), f"a bit is a bool; this is {self.type}"
        if self.type != "bool":
            for key in ("true_value", "false_value"):
                if key in self.model_fields_set:
                    yield (key,), f"{key} is for a bool; this is {self.type}"
        elif self.true_value == self.false_value:
            yield ("false_value",), f"{self.false_value} cannot mean true and false"

    def _write_problems(self) -> Iterable[Problem]:
        if self.bit is not None:
            yield ("writable",), "a single bit cannot be written"
        if is_expression(self.reply):
            yield ("reply",), "a value with `writable: true` has a reply with {value}, which is also what is sent"
        if self.type in ("float", "int") and not (self.words or self.choices):
            for key in ("write_low", "write_high"):
                if getattr(self, key) is None:
                    yield (), f"a number with `writable: true` says its limits: {key} is missing"


class SnmpSection(DeviceSection):
    """A device with an SNMP agent."""

    driver: Literal["snmp"]
    host: Address
    port: Annotated[int, Field(ge=1, le=65535)] = DEFAULT_PORT
    version: Version = "2c"
    community: SecretReference | None = None
    """Versions 1 and 2c: the community for reading. Without it: `public`."""
    write_community: SecretReference | None = None
    """Versions 1 and 2c: the community for writing, where it is another one."""
    user: str = ""
    """Version 3."""
    authentication: Literal["", "SHA", "SHA-224", "SHA-256", "SHA-384", "SHA-512"] = ""
    """Version 3: how messages are signed. Empty: they are not (noAuthNoPriv)."""
    password: SecretReference | None = None
    """Version 3: the password of the signatures, of at least 8 characters."""
    privacy: Literal["", "AES"] = ""
    """Version 3: how messages are encrypted. AES has a key of 128 bits (RFC 3826). Empty: they are not (authNoPriv)."""
    privacy_password: SecretReference | None = None
    """Version 3: the password of the encryption. Without it: `password`."""
    context: str = ""
    """Version 3: the context, where the agent stands for several devices."""
    object_id: Oid | Literal[""] = ""
    """At the connection the sysObjectID must be this or begin with it: `1.3.6.1.4.1.19947`. Empty: it is not asked."""
    most_oids: Annotated[int, Field(ge=1, le=128)] = 24
    """In one request. An agent for which an answer is too big is asked for fewer."""
    retries: Annotated[int, Field(ge=0, le=4)] = 1
    """How often a question is sent again after `timeout`. What writes is sent once."""
    values: Annotated[dict[ValueName, SnmpValue], Field(min_length=1)]
    settings: dict[str, Plain] = {}
    """Value -> what to write at the connection, with `apply_on_connect`."""

    def problems(self) -> Iterable[Problem]:
        """Keys of another version, secrets that are missing, and names without a value."""
        yield from self._version_problems()
        for name, value in self.values.items():
            if value.readback and value.readback not in self.values:
                yield ("values", name, "readback"), f"there is no value {value.readback}"
        for name in self.settings:
            if name not in self.values or not self.values[name].writable:
                yield ("settings", name), "there is no such value with `writable: true`"

    def _version_problems(self) -> Iterable[Problem]:
        communities = ("community", "write_community")
        of_users = ("user", "authentication", "password", "privacy", "privacy_password", "context")
        for key in communities if self.version == "3" else of_users:
            if getattr(self, key):
                yield (key,), f"{key} is not for version {self.version}"
        if self.version != "3":
            return
        if not self.user:
            yield (), "version 3 needs a user"
        if bool(self.authentication) != bool(self.password):
            yield (
                ("password",) if self.password else ("authentication",),
                "give authentication and password, or neither",
            )
        if self.privacy and not self.authentication:
            yield ("privacy",), "version 3 encrypts signed messages alone: authentication is missing"
        if self.privacy_password and not self.privacy:
            yield ("privacy_password",), "privacy is missing"
