"""Instants and spans as people give them: ``2026-11-28T16:00Z``, ``2h``, ``30d``."""

import re
from datetime import datetime, timedelta

import typer

from leadjobs.core.instants import LONGEST

A_CENTURY = timedelta(days=36_500)
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_SPAN = re.compile(r"(\d{1,6})([smhdw])")


def span(text: str, *, option: str) -> timedelta:
    """A span such as 90s, 30m, 2h, 7d or 4w.

    Raises:
        BadParameter: it is none, or over a thousand years; the message names the option.

    >>> span("2h", option="--since")
    datetime.timedelta(seconds=7200)
    """
    found = _SPAN.fullmatch(text.strip())
    if found is None:
        raise _bad(text, "is no span of time, such as 90s, 30m, 2h, 7d or 4w", option)
    long = timedelta(**{UNITS[found[2]]: int(found[1])})
    if long > LONGEST:
        raise _bad(text, "is over a thousand years", option)
    return long


def moment(text: str, *, option: str) -> datetime | timedelta:
    """An instant with its zone, or a span before now.

    Raises:
        BadParameter: it is neither; the message names the option.

    >>> moment("2026-11-28T16:00+01:00", option="--since").isoformat()
    '2026-11-28T16:00:00+01:00'
    """
    if _SPAN.fullmatch(text.strip()):
        return span(text, option=option)
    try:
        instant = datetime.fromisoformat(text.strip())
    except ValueError:
        raise _bad(text, "is no time: give 2026-11-28T16:00Z, or how long ago: 90s, 30m, 2h, 7d, 4w", option) from None
    if instant.tzinfo is None:
        raise _bad(text, f"has no time zone: write {instant.isoformat()}Z if you mean UTC", option)
    return instant


def _bad(text: str, why: str, option: str) -> typer.BadParameter:
    return typer.BadParameter(f"{text!r} {why}", param_hint=option)
