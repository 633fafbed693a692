"""A time that no row can keep, or nobody could read again, is refused where it is said."""

from datetime import UTC, datetime, timedelta

import pytest

from leadjobs import Hold, Snooze

EVER, SOONEST = datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("until", "why"),
    [
        (timedelta(days=3_000_000), "is over a thousand years"),
        (EVER, "is not in the years 2 to 9998"),
        (SOONEST, "is not in the years 2 to 9998"),
        (datetime(2026, 11, 23), "has no time zone: use an aware datetime, such as datetime.now"),  # noqa: DTZ001
    ],
)
def test_a_run_cannot_wait_for_what_cannot_be_kept(until: datetime | timedelta, why: str) -> None:
    """Or a list of jobs, or of holds, could not be read any more."""
    with pytest.raises(ValueError, match=f"^until of a Snooze {why}"):
        Snooze(until)
    with pytest.raises(ValueError, match=f"^until of a Hold {why}"):
        Hold("twilio", until, "busy")
