"""Instants and spans as people give them: ``2026-11-28T16:00Z``, ``2h``, ``30d``."""

import re
from datetime import datetime, timedelta

from leadjobs.errors import SettingsError

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_SPAN = re.compile(r"(\d{1,6})([smhdw])")


def span(text: str, *, option: str) -> timedelta:
    """A span such as 90s, 30m, 2h, 7d or 4w.

    Raises:
        SettingsError: it is none; the message names the option.

    >>> span("2h", option="--since")
    datetime.timedelta(seconds=7200)
    """
    found = _SPAN.fullmatch(text.strip())
    if found is None:
        raise SettingsError(f"{option} {text!r} is no span of time, such as 90s, 30m, 2h, 7d or 4w")
    return timedelta(**{UNITS[found[2]]: int(found[1])})


def moment(text: str, *, option: str) -> datetime | timedelta:
    """An instant with its zone, or a span before now.

    Raises:
        SettingsError: it is neither; the message names the option.

    >>> moment("2026-11-28T16:00+01:00", option="--since").isoformat()
    '2026-11-28T16:00:00+01:00'
    """
    if _SPAN.fullmatch(text.strip()):
        return span(text, option=option)
    try:
        instant = datetime.fromisoformat(text.strip())
    except ValueError:
        raise SettingsError(
            f"{option} {text!r} is no time: give 2026-11-28T16:00Z, or how long ago: 90s, 30m, 2h, 7d, 4w"
        ) from None
    if instant.tzinfo is None:
        raise SettingsError(f"{option} {text!r} has no time zone: write {instant.isoformat()}Z if you mean UTC")
    return instant
