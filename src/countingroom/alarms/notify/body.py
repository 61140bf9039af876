"""The body of a message: its text, its links and the mark of a possible repeat. Pure."""

from __future__ import annotations

from countingroom.core.notify.messages import Notification
from countingroom.core.plain_text import escaped, readable

REPEAT_MARK = "This message may be a repeat: an earlier try to send it was not confirmed."
MOST_TITLE = 200
MOST_TEXT = 20_000


def title_line(message: Notification) -> str:
    """The title as one line without hidden characters."""
    return escaped(message.title.strip(), most=MOST_TITLE) or "countingroom"


def plain_body(message: Notification) -> str:
    """Text, links and mark, as lines without hidden characters."""
    parts = [readable(message.text[:MOST_TEXT].replace("\r\n", "\n")).rstrip()]
    if message.links:
        parts.append("\n".join(f"{link.title}: {link.address}" for link in message.links))
    if message.is_repeat:
        parts.append(REPEAT_MARK)
    return "\n\n".join(part for part in parts if part) + "\n"
