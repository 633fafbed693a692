"""The conversation with a lead as text: the newest messages of all channels, oldest first, within a budget.

The newest are what the model must see.  A transcript that keeps the oldest messages scores a long thread on its
beginning for ever.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from leadjobs.leads.inbound import Channel

MIN_CHARS: Final = 1_000
"""The smallest budget in which one cut message and its markers still say something."""

_MARKERS_CHARS = 120  # two gap markers and their newlines


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One message, either way.  ``sent_at`` is aware; ``subject`` is an e-mail's."""

    sent_at: datetime
    channel: Channel
    is_inbound: bool
    subject: str | None
    text: str


def transcript(lines: Sequence[Line], *, omitted: int = 0, max_messages: int = 60, max_chars: int = 24_000) -> str:
    r"""Return one line of text per message, oldest first; at most ``max_messages`` and ``max_chars``.

    Messages without a body are dropped; line breaks inside a message become ``\n``, so no message can pass for two.
    Where it does not all fit, the oldest go and a marker counts them, with the ``omitted`` ones that are older still.
    The newest inbound message is always there, and whole up to half of ``max_chars``; other messages are cut in the
    middle from a quarter on.  No message, no text: "".

    Raises:
        ValueError: ``max_messages`` is below 1, or ``max_chars`` below `MIN_CHARS`.
    """
    if max_messages < 1 or max_chars < MIN_CHARS:
        raise ValueError(f"a transcript needs room for at least one message and {MIN_CHARS} characters")
    said = sorted((line for line in lines if line.text.strip()), key=lambda line: line.sent_at)
    texts = [_rendered(line) for line in said]
    if not omitted and len(texts) <= max_messages and sum(len(text) + 1 for text in texts) <= max_chars:
        return "\n".join(texts)
    inbound = max((index for index, line in enumerate(said) if line.is_inbound), default=None)
    texts = [_cut(text, max_chars // (2 if index == inbound else 4)) for index, text in enumerate(texts)]
    return _joined(texts, _chosen(texts, inbound, max_messages, max_chars - _MARKERS_CHARS), omitted)


def _chosen(texts: Sequence[str], inbound: int | None, max_messages: int, max_chars: int) -> list[int]:
    """Which messages go in: the newest inbound one, then all others from the newest back until something is full."""
    chosen = [] if inbound is None else [inbound]
    chars_left = max_chars - sum(len(texts[index]) + 1 for index in chosen)
    for index in reversed(range(len(texts))):
        if index == inbound:
            continue
        chars_left -= len(texts[index]) + 1
        if len(chosen) == max_messages or chars_left < 0:
            break
        chosen.append(index)
    return sorted(chosen)


def _joined(texts: Sequence[str], chosen: Sequence[int], omitted: int) -> str:
    """The chosen messages, with a marker wherever messages are missing."""
    parts: list[str] = []
    expected = -omitted
    for index in chosen:
        if index > expected:
            earlier = "earlier " if not parts else ""
            parts.append(f"[… {index - expected} {earlier}messages left out]")
        parts.append(texts[index])
        expected = index + 1
    if expected < len(texts):
        parts.append(f"[… {len(texts) - expected} messages left out]")
    return "\n".join(parts)


def _rendered(line: Line) -> str:
    """One message on one line: time, channel and direction, speaker, subject, text."""
    direction, speaker = ("IN", "Lead") if line.is_inbound else ("OUT", "Agent")
    subject = _on_one_line(line.subject or "") if line.channel is Channel.EMAIL else ""
    shown = f"Subject: {subject} | " if subject else ""
    time = line.sent_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return f"[{time}] {line.channel.value.upper()} {direction} {speaker}: {shown}{_on_one_line(line.text)}"


def _on_one_line(text: str) -> str:
    """The same text with every kind of line break written out, as two characters."""
    return "\\n".join(text.strip().splitlines())


def _cut(text: str, limit: int) -> str:
    """The text, or its beginning and end around a marker, at most ``limit`` characters."""
    if len(text) <= limit:
        return text
    marker = f" [… {len(text)} characters, cut here …] "
    head = (limit - len(marker)) * 2 // 3
    return text[:head] + marker + text[len(text) - (limit - len(marker) - head) :]
