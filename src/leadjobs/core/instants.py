"""Which times a job can wait for: those that the database keeps, and Python can read again."""

from datetime import datetime, timedelta

from leadjobs.core.argument import misfit

YEARS = 2, 9998  # in whatever zone the database tells a time, Python can read it
LONGEST = timedelta(days=365_000)  # a thousand years: from today on, it ends long before Python's last one
EXAMPLES = {
    timedelta: "a timedelta, such as timedelta(seconds=30)",
    datetime: "an aware datetime, such as datetime.now(UTC)",
}


def time_misfit(time: object, *kinds: type) -> str | None:
    """What is wrong with a span or an instant that a job is to wait for; None where nothing is.

    >>> time_misfit(30, timedelta)
    'is 30: give a timedelta, such as timedelta(seconds=30)'
    >>> time_misfit(timedelta(days=3_000_000), timedelta)
    'is over a thousand years'
    """
    if not isinstance(time, kinds):
        return misfit(time, kinds, " or ".join(EXAMPLES[kind] for kind in kinds))
    if isinstance(time, timedelta):
        return None if abs(time) <= LONGEST else "is over a thousand years"
    assert isinstance(time, datetime)
    if time.tzinfo is None:
        return f"has no time zone: use {EXAMPLES[datetime]}"
    return None if YEARS[0] <= time.year <= YEARS[1] else f"is not in the years {YEARS[0]} to {YEARS[1]}"
