"""The files of a login on the servers of the site: certificates, credentials, seeds of nkeys."""

from __future__ import annotations

import ssl
from importlib.util import find_spec
from pathlib import Path

from countingroom.bus.login import BusLogin, TlsFiles
from countingroom.core.errors import ConfigurationError


def tls_context(files: TlsFiles) -> ssl.SSLContext:
    """For a link that is encrypted and checks the certificate of the server. ConfigurationError when a file is bad."""
    try:
        context = ssl.create_default_context(cafile=files.ca or None, cadata=files.authority or None)
        if files.certificate:
            context.load_cert_chain(files.certificate, files.key or None)
    except (OSError, ssl.SSLError) as error:
        given = (files.ca, "the authority" if files.authority else "", files.certificate, files.key)
        named = ", ".join(one for one in given if one)
        raise ConfigurationError(f"the TLS files of the bus cannot be used: {error} ({named})", source="bus") from error
    return context


def check_nkeys(login: BusLogin) -> None:
    """ConfigurationError where the file of the login is not there, has no key, or needs a package that is not
    installed."""
    file = login.creds_file or login.nkey_file
    if not file:
        return
    if find_spec("nkeys") is None:
        raise ConfigurationError(
            f"the package nkeys, which the login with {file} needs, is not installed",
            source="bus",
            suggestion="pip install nkeys",
        )
    try:
        content = Path(file).read_bytes()
    except OSError as error:
        raise ConfigurationError(f"the login of the bus cannot be read: {error}", source="bus") from error
    if not _has_key(content, is_creds=bool(login.creds_file)):
        what = "no JWT with the seed of a user" if login.creds_file else "no seed of a user's nkey"
        raise ConfigurationError(
            f"the login of the bus cannot be used: {file} has {what}",
            source="bus",
            suggestion="write it again with the tool of the servers: nsc generate creds, or nk -gen user",
        )


def _has_key(content: bytes, *, is_creds: bool) -> bool:
    """Whether nats-py can log in with it: what it raises for a damaged file names neither file nor reason."""
    import nkeys  # pyright: ignore[reportMissingImports] - only those who have such a file install it

    seed = content.strip()
    if is_creds:
        lines = [line.strip() for line in content.splitlines()]
        if not (follows := _after(b"BEGIN USER NKEY SEED", lines)) or not _after(b"BEGIN NATS USER JWT", lines):
            return False
        seed = follows
    try:
        nkeys.from_seed(bytearray(seed)).wipe()  # pyright: ignore[reportUnknownMemberType]
    except Exception:
        return False  # it raises errors of its own, of base64 and of its library of cryptography
    return True


def _after(title: bytes, lines: list[bytes]) -> bytes:
    """The line behind one with this title; empty: there is none."""
    places = [number for number, line in enumerate(lines[:-1]) if title in line]
    return lines[places[0] + 1] if places else b""
