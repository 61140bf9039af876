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
        context = ssl.create_default_context(cafile=files.ca or None)
        if files.certificate:
            context.load_cert_chain(files.certificate, files.key or None)
    except (OSError, ssl.SSLError) as error:
        named = ", ".join(one for one in (files.ca, files.certificate, files.key) if one)
        raise ConfigurationError(f"the TLS files of the bus cannot be used: {error} ({named})", source="bus") from error
    return context


def check_nkeys(login: BusLogin) -> None:
    """ConfigurationError where the file of the login is not there, or needs a package that is not installed."""
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
        Path(file).read_bytes()
    except OSError as error:
        raise ConfigurationError(f"the login of the bus cannot be read: {error}", source="bus") from error
