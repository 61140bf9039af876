"""All other channels, by the plug-ins of the library Apprise for message services.

Apprise is imported when the first message is sent this way, and only the plug-in that is needed: the import of all
plug-ins takes 0.5 s and much memory. Schemas that write files, run programs or show windows on this computer are not in
the table.

Apprise says only "sent" or "not sent", so a try that failed may still have been delivered.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, cast
from urllib.parse import parse_qsl, urlsplit

from countingroom.alarms.notify.body import plain_body, title_line
from countingroom.alarms.notify.sender import ACCEPTED, UNWANTED, Delivery, IsWanted, refused, unknown
from countingroom.alarms.notify.server_text import server_words, without_secrets
from countingroom.core.errors import ConfigurationError
from countingroom.core.notify.messages import Notification, NotificationKind
from countingroom.core.yaml.secret_reference import SecretReference

SOURCE = "alarms.notify"
PLUGINS: Mapping[str, str] = {
    "bark": "bark:NotifyBark",
    "barks": "bark:NotifyBark",
    "discord": "discord:NotifyDiscord",
    "gchat": "google_chat:NotifyGoogleChat",
    "gotify": "gotify:NotifyGotify",
    "gotifys": "gotify:NotifyGotify",
    "lark": "lark:NotifyLark",
    "matrix": "matrix:NotifyMatrix",
    "matrixs": "matrix:NotifyMatrix",
    "mmost": "mattermost:NotifyMattermost",
    "mmosts": "mattermost:NotifyMattermost",
    "nctalk": "nextcloudtalk:NotifyNextcloudTalk",
    "nctalks": "nextcloudtalk:NotifyNextcloudTalk",
    "ntfy": "ntfy:NotifyNtfy",
    "ntfys": "ntfy:NotifyNtfy",
    "opsgenie": "opsgenie:NotifyOpsgenie",
    "pagerduty": "pagerduty:NotifyPagerDuty",
    "pbul": "pushbullet:NotifyPushBullet",
    "pover": "pushover:NotifyPushover",
    "rocket": "rocketchat:NotifyRocketChat",
    "rockets": "rocketchat:NotifyRocketChat",
    "signal": "signal_api:NotifySignalAPI",
    "signals": "signal_api:NotifySignalAPI",
    "slack": "slack:NotifySlack",
    "tgram": "telegram:NotifyTelegram",
    "threema": "threema:NotifyThreema",
    "twilio": "twilio:NotifyTwilio",
    "workflow": "workflows:NotifyWorkflows",
    "workflows": "workflows:NotifyWorkflows",
    "zulip": "zulip:NotifyZulip",
}
"""Schema -> module below `apprise.plugins`, and class."""
_REFUSED_KEYS = ("template", "attach")
"""Keys of an address that make Apprise read a file of this computer."""
_QUIET = ("apprise", "urllib3", "requests", "requests_oauthlib")
"""Below INFO these loggers write tokens and passwords."""


class AppriseSender:
    """Sends through one service."""

    def __init__(self, reference: SecretReference, timeout_s: float) -> None:
        self._reference = reference
        self._timeout_s = timeout_s
        self.kind = "apprise"

    def abort(self) -> None:
        """Does no work: a call of Apprise cannot be ended. It has a time-out for each step."""

    def send(self, message: Notification, is_wanted: IsWanted) -> Delivery:
        try:
            address = self._reference.read(SOURCE)
        except ConfigurationError as error:
            return refused(error.cause.message)
        if problem := address_problem(address):
            return refused(problem)
        schema = schema_of(address)
        self.kind = schema
        _keep_quiet()
        with _Lines() as lines:
            found = self._try(address, schema, message, is_wanted)
        said = found.text or "; ".join(lines.found)
        return Delivery(outcome=found.outcome, text=without_secrets(server_words(said), _secrets(address)))

    def _try(self, address: str, schema: str, message: Notification, is_wanted: IsWanted) -> Delivery:
        try:
            plugin = _plugin(schema)
            settings = plugin.parse_url(address)
            if not settings:
                return refused(f"the address is none of {schema}")
            step_s = max(1.0, self._timeout_s / 4)
            settings |= {"asset": _asset(), "cto": step_s, "rto": step_s}
            # A new object for each message: some plug-ins sleep between two messages of one object.
            service = plugin(**settings)
        except ImportError as error:
            return refused(f"Apprise cannot be imported: {error}")
        except Exception as error:
            return refused(f"{schema} does not take the address: {error}")
        if not is_wanted():
            return UNWANTED
        try:
            was_sent = service.notify(
                body=plain_body(message), title=title_line(message), notify_type=_type(message), body_format="text"
            )
        except Exception as error:
            return unknown(f"{schema}: {type(error).__name__}: {error}")
        return ACCEPTED if was_sent else unknown("")


def schema_of(address: str) -> str:
    """The schema of an address."""
    return address.partition("://")[0].strip().lower()


def address_problem(address: str) -> str:
    """What is wrong with an Apprise address, without the address itself, which is secret; empty if it is right."""
    schema, sign, rest = address.partition("://")
    if not sign:
        return "the secret is no address of Apprise, such as ntfys://host/topic"
    if "://" in rest.partition("?")[0]:
        return "the secret holds several addresses; one is allowed, make a channel of each"
    if schema.strip().lower() not in PLUGINS:
        known = ", ".join(PLUGINS)
        return f"the schema {server_words(schema)[:20]!r} is not allowed; allowed are {known}"
    try:
        keys = {key.lower() for key, _ in parse_qsl(urlsplit(address).query)}
    except ValueError:
        return "the secret is no address"
    if found := keys & set(_REFUSED_KEYS):
        return f"the key {min(found)} is not allowed in the address"
    return ""


def _plugin(schema: str) -> Any:
    module, _, name = PLUGINS[schema].partition(":")
    return getattr(import_module(f"apprise.plugins.{module}"), name)


def _asset() -> Any:
    """Settings of Apprise: no storage on disk, no further plug-ins, secrets masked in its log lines."""
    import apprise

    library = cast(Any, apprise)
    return library.AppriseAsset(
        storage_mode=library.PersistentStoreMode.MEMORY, plugin_paths=None, secure_logging=True, app_id="countingroom"
    )


def _type(message: Notification) -> str:
    """The message type, by which services choose a colour."""
    if message.kind in (NotificationKind.FOLLOW_UP, NotificationKind.TEST, NotificationKind.RULE):
        return "info"
    return "failure" if message.priority <= 2 else "warning"


def _keep_quiet() -> None:
    for name in _QUIET:
        logger = logging.getLogger(name)
        if logger.getEffectiveLevel() < logging.INFO or logger.level == logging.NOTSET:
            logger.setLevel(max(logging.INFO, logger.getEffectiveLevel()))


class _Lines(logging.Handler):
    """Collects the log lines of Apprise in this thread: it gives the reason of a failure only there."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.found: list[str] = []
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread and len(self.found) < 4:
            self.found.append(record.getMessage())

    def __enter__(self) -> _Lines:
        logging.getLogger("apprise").addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger("apprise").removeHandler(self)


def _secrets(address: str) -> Iterator[str]:
    """All parts of an address except the schema, because it depends on the service which part is secret."""
    yield address
    parts = urlsplit(address)
    yield from (part for part in (parts.netloc, parts.username, parts.password, parts.hostname) if part)
    yield from (part for part in parts.path.split("/") if part)
    yield from (value for _, value in parse_qsl(parts.query))
