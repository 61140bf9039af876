"""Version 3 of SNMP: its messages, signed and encrypted by the user-based security model (RFC 3414, 3826, 7860).

Passwords and keys stand in no error and no representation.
"""

from __future__ import annotations

import hashlib
import hmac

from msgspec import Struct
from msgspec.structs import replace

from countingroom.core.snmp.ber import INTEGER, OCTET_STRING, BerError, BerReader, Oid, encoded, sequence
from countingroom.core.snmp.pdu import Pdu, encode_pdu, read_pdu

AUTHENTICATION = {
    "SHA": ("sha1", 12),
    "SHA-224": ("sha224", 16),
    "SHA-256": ("sha256", 24),
    "SHA-384": ("sha384", 32),
    "SHA-512": ("sha512", 48),
}
"""Protocol -> its hash, and the bytes of a signature."""
IS_SIGNED, IS_ENCRYPTED, IS_REPORTABLE = 1, 2, 4
"""Flags of a message."""
MOST_BYTES = 65507
"""Of a message that we take: what UDP can carry."""

_STATS: Oid = (1, 3, 6, 1, 6, 3, 15, 1, 1)
UNSUPPORTED_LEVEL: Oid = (*_STATS, 1, 0)
NOT_IN_TIME_WINDOW: Oid = (*_STATS, 2, 0)
UNKNOWN_USER: Oid = (*_STATS, 3, 0)
UNKNOWN_ENGINE: Oid = (*_STATS, 4, 0)
WRONG_DIGEST: Oid = (*_STATS, 5, 0)
DECRYPTION_ERROR: Oid = (*_STATS, 6, 0)
"""What a report says, as the OID of its first value."""

_VERSION = 3
_USM = 3
_PASSWORD_BYTES = 1 << 20
_KEY_BYTES = 16
_MOST_COUNT = 1 << 31


class Keys:
    """The keys of a user at one agent. Empty: messages are not signed, or not encrypted."""

    def __init__(self, protocol: str = "", signing: bytes = b"", encrypting: bytes = b"") -> None:
        self.protocol = protocol
        self.signing = signing
        self.encrypting = encrypting[:_KEY_BYTES]

    @property
    def flags(self) -> int:
        """Those of a message with these keys."""
        return (IS_SIGNED if self.signing else 0) | (IS_ENCRYPTED if self.encrypting else 0)


class V3Message(Struct, frozen=True):
    """A message of version 3, in clear."""

    message_id: int
    pdu: Pdu | None
    """None in an encrypted message that was not decrypted yet."""
    flags: int = 0
    engine_id: bytes = b""
    """Of the agent. Empty in the question for it."""
    boots: int = 0
    time_s: int = 0
    """Since its last boot."""
    user: bytes = b""
    context_engine_id: bytes = b""
    context: bytes = b""
    signature: tuple[int, int] = (0, 0)
    """Where it stands in the bytes that were received."""
    salt: bytes = b""
    encrypted: bytes = b""


def password_key(password: str, protocol: str) -> bytes:
    """The key of a password, of any agent. It takes some ms, on purpose."""
    name, _ = AUTHENTICATION[protocol]
    text = password.encode()
    repeated = (text * (_PASSWORD_BYTES // len(text) + 1))[:_PASSWORD_BYTES]
    return hashlib.new(name, repeated).digest()


def localized(key: bytes, engine_id: bytes, protocol: str) -> bytes:
    """The key of one agent."""
    name, _ = AUTHENTICATION[protocol]
    return hashlib.new(name, key + engine_id + key).digest()


def encode(message: V3Message, keys: Keys, salt: bytes = b"") -> bytes:
    """The bytes of a message, signed and encrypted with the keys. `salt`: 8 bytes that no other message has."""
    if message.pdu is None:
        raise BerError("the message has no PDU")
    scoped = sequence(
        encoded(OCTET_STRING, message.context_engine_id or message.engine_id),
        encoded(OCTET_STRING, message.context),
        encode_pdu(message.pdu),
    )
    if keys.encrypting:
        scoped = encoded(OCTET_STRING, _crypted(message, keys, salt, scoped, decrypt=False))
    size = AUTHENTICATION[keys.protocol][1] if keys.signing else 0
    whole = _assembled(message, keys.flags, bytes(size), salt if keys.encrypting else b"", scoped)
    if not keys.signing:
        return whole
    return _assembled(message, keys.flags, _signed(whole, keys), salt if keys.encrypting else b"", scoped)


def decode(data: bytes) -> V3Message:
    """A message as it came: not verified, and not decrypted. BerError where it is none."""
    reader = BerReader(data).inside()
    if (version := reader.integer()) != _VERSION:
        raise BerError(f"the message has version number {version}")
    about = reader.inside()
    message_id, _, flags, model = about.integer(), about.integer(), about.octets(), about.integer()
    if model != _USM or len(flags) != 1:
        raise BerError(f"the message has security model {model}")
    security = BerReader(data, *reader.content(OCTET_STRING)).inside()
    engine_id, boots, time_s, user = security.octets(), security.integer(), security.integer(), security.octets()
    if not (0 <= boots < _MOST_COUNT and 0 <= time_s < _MOST_COUNT):
        raise BerError("the boots or the time of the agent are outside their range")
    signature, salt = security.content(OCTET_STRING), security.octets()
    message = V3Message(message_id, None, flags[0], engine_id, boots, time_s, user, signature=signature, salt=salt)
    if message.flags & IS_ENCRYPTED:
        return replace(message, encrypted=reader.octets())
    return _with_content(message, reader)


def is_genuine(data: bytes, message: V3Message, keys: Keys) -> bool:
    """Whether the message in these bytes was signed with the key."""
    begin, end = message.signature
    if not keys.signing or end - begin != AUTHENTICATION[keys.protocol][1]:
        return False
    plain = data[:begin] + bytes(end - begin) + data[end:]
    return hmac.compare_digest(_signed(plain, keys), data[begin:end])


def decrypted(message: V3Message, keys: Keys) -> V3Message:
    """The message in clear; BerError where the key is another one."""
    if not message.flags & IS_ENCRYPTED:
        return message
    if not keys.encrypting or len(message.salt) != 8:
        raise BerError("the message cannot be decrypted")
    scoped = _crypted(message, keys, message.salt, message.encrypted, decrypt=True)
    return _with_content(message, BerReader(scoped))


def _with_content(message: V3Message, reader: BerReader) -> V3Message:
    scoped = reader.inside()
    return replace(message, context_engine_id=scoped.octets(), context=scoped.octets(), pdu=read_pdu(scoped))


def _assembled(message: V3Message, flags: int, signature: bytes, salt: bytes, scoped: bytes) -> bytes:
    security = sequence(
        encoded(OCTET_STRING, message.engine_id),
        encoded(INTEGER, message.boots),
        encoded(INTEGER, message.time_s),
        encoded(OCTET_STRING, message.user),
        encoded(OCTET_STRING, signature),
        encoded(OCTET_STRING, salt),
    )
    about = sequence(
        encoded(INTEGER, message.message_id),
        encoded(INTEGER, MOST_BYTES),
        encoded(OCTET_STRING, bytes((flags | message.flags & IS_REPORTABLE,))),
        encoded(INTEGER, _USM),
    )
    return sequence(encoded(INTEGER, _VERSION), about, encoded(OCTET_STRING, security), scoped)


def _signed(data: bytes, keys: Keys) -> bytes:
    name, size = AUTHENTICATION[keys.protocol]
    return hmac.digest(keys.signing, data, name)[:size]


def _crypted(message: V3Message, keys: Keys, salt: bytes, data: bytes, *, decrypt: bool) -> bytes:
    # Only devices with encryption need this library.
    from cryptography.hazmat.decrepit.ciphers.modes import CFB
    from cryptography.hazmat.primitives.ciphers import Cipher
    from cryptography.hazmat.primitives.ciphers.algorithms import AES

    start = message.boots.to_bytes(4, "big") + message.time_s.to_bytes(4, "big") + salt
    cipher = Cipher(AES(keys.encrypting), CFB(start))
    worker = cipher.decryptor() if decrypt else cipher.encryptor()
    return worker.update(data) + worker.finalize()
