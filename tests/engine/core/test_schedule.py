"""When a schedule ticks: expressions, zones, and the two nights a year on which clocks are changed."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadjobs import DedupeScope, NewJob, Schedule
from leadjobs.core.schedule import Rhythm
from leadjobs.errors import SettingsError

BERLIN = ZoneInfo("Europe/Berlin")
SPRING, AUTUMN = datetime(2026, 3, 29, tzinfo=BERLIN), datetime(2026, 10, 25, tzinfo=BERLIN)  # 02:00 to 03:00, and back
REPORT = NewJob(type="REPORT")


def ticks(cron: str, tz: str, start: datetime, end: datetime) -> list[datetime]:
    """All ticks after one instant and not after another, walking forwards."""
    rhythm, found, tick = Rhythm(cron, tz), list[datetime](), start.astimezone(UTC)
    while (tick := rhythm.next_tick(after=tick)) <= end:
        found.append(tick)
    return found


def in_the_night(cron: str, day: datetime) -> list[str]:
    """The ticks of a day in Berlin, as its clocks show them."""
    midnight = day.astimezone(UTC) - timedelta(seconds=1)
    found = ticks(cron, "Europe/Berlin", midnight, midnight + timedelta(hours=5))
    return [f"{tick.astimezone(BERLIN):%H:%M %Z}" for tick in found]


def test_a_schedule_ticks_by_the_wall_clock_of_its_zone() -> None:
    """Three in the morning is another instant in summer and in winter."""
    rhythm = Rhythm("0 3 * * MON-FRI", "Europe/Berlin")
    summer = rhythm.next_tick(after=datetime(2026, 7, 3, 12, tzinfo=UTC))
    winter = rhythm.next_tick(after=datetime(2026, 12, 4, 12, tzinfo=UTC))
    assert (datetime(2026, 7, 6, 1, tzinfo=UTC), datetime(2026, 12, 7, 2, tzinfo=UTC)) == (summer, winter)


@pytest.mark.parametrize(
    ("cron", "shown"),
    [
        ("30 2 * * *", ["03:00 CEST"]),
        ("0,30 2 * * *", ["03:00 CEST"]),
        ("30 1-4 * * *", ["01:30 CET", "03:00 CEST", "03:30 CEST", "04:30 CEST"]),
        ("*/30 2 * * *", []),
        ("0 * * * *", ["00:00 CET", "01:00 CET", "03:00 CEST", "04:00 CEST", "05:00 CEST"]),
    ],
)
def test_what_a_skipped_hour_does_to_ticks(cron: str, shown: list[str]) -> None:
    """A time of day in the gap comes in the first minute after it, once; what says * has no ticks in it."""
    assert shown == in_the_night(cron, SPRING)


@pytest.mark.parametrize(
    ("cron", "shown"),
    [
        ("30 2 * * *", ["02:30 CEST"]),
        ("30 1-3 * * *", ["01:30 CEST", "02:30 CEST", "03:30 CET"]),
        ("*/30 2 * * *", ["02:00 CEST", "02:30 CEST", "02:00 CET", "02:30 CET"]),
        ("0 * * * *", ["00:00 CEST", "01:00 CEST", "02:00 CEST", "02:00 CET", "03:00 CET"]),
    ],
)
def test_what_a_doubled_hour_does_to_ticks(cron: str, shown: list[str]) -> None:
    """A time of day in it comes the first time only; what says * comes in both."""
    assert shown == in_the_night(cron, AUTUMN)


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/New_York", "America/Santiago"])
@pytest.mark.parametrize("cron", ["30 2 * * *", "0,30 1-3 * * *", "*/20 * * * *", "15 0 * * SUN", "0 */2 * * *"])
def test_the_newest_tick_is_the_last_of_those_that_came(cron: str, zone: str) -> None:
    """Walking back finds what walking forward has passed, at every quarter of an hour around each change of clocks."""
    start, end, wall = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC), ZoneInfo(zone)
    hours = [start + timedelta(hours=n) for n in range(24 * 365)]
    changes = [b for a, b in pairwise(hours) if a.astimezone(wall).utcoffset() != b.astimezone(wall).utcoffset()]
    rhythm = Rhythm(cron, zone)
    for change in changes or [datetime(2026, 6, 1, tzinfo=UTC)]:
        passed = ticks(cron, zone, change - timedelta(days=9), min(end, change + timedelta(days=2)))
        for now in (change + timedelta(minutes=15 * n) for n in range(-20, 20)):
            expected = max(tick for tick in passed if tick <= now)
            assert expected == rhythm.newest_tick(after=start, through=now)
            assert None is rhythm.newest_tick(after=expected, through=now)


def test_a_tick_on_the_second_has_come() -> None:
    """At the very instant, and not a microsecond before; and never twice."""
    noon, rhythm = datetime(2026, 11, 23, 12, tzinfo=UTC), Rhythm("0 12 * * *", "UTC")
    long_ago, instant = noon - timedelta(days=9), timedelta(microseconds=1)
    assert noon == rhythm.newest_tick(after=long_ago, through=noon)
    assert noon - timedelta(days=1) == rhythm.newest_tick(after=long_ago, through=noon - instant)
    assert noon + timedelta(days=1) == rhythm.next_tick(after=noon)
    assert noon == rhythm.next_tick(after=noon - instant)


@pytest.mark.parametrize(
    ("cron", "words"),
    [
        ("61 * * * *", "bad minute"),
        ("* * *", "it has 3 fields"),
        ("0 * * * * *", "it has 6 fields"),
        ("@daily", "it has 1 fields"),
        ("0 0 30 2 *", "bad day-of-month"),
        ("* * */20 * 1L", "it names no day that ever comes"),
        ("", "it has 0 fields"),
    ],
)
def test_an_expression_that_cannot_be_read_is_refused_at_once(cron: str, words: str) -> None:
    """The message names the schedule, the field and what is wrong with it, and shows how it looks."""
    with pytest.raises(SettingsError, match=rf"^schedule nightly: cron .*: {words}; give minute hour .*MON-FRI"):
        Schedule("nightly", cron, job=REPORT)


@pytest.mark.parametrize("tz", ["", "Europe/Berlim", "Europe", "/etc/passwd", "../UTC", "Europe/Berlin\0", "CEST"])
def test_a_zone_that_is_none_is_refused_at_once(tz: str) -> None:
    """Whatever the name does to a file system."""
    with pytest.raises(SettingsError, match=r"^schedule nightly: tz .* is no time zone; give a name .*Europe/Berlin"):
        Schedule("nightly", "0 3 * * *", job=REPORT, tz=tz)


@pytest.mark.parametrize("name", ["", "3am", "two words", "x" * 101, "naïve"])
def test_a_name_that_makes_no_key_is_refused(name: str) -> None:
    """It stands in dedupe keys and on command lines."""
    with pytest.raises(SettingsError, match=r"name of schedule .*: use 1 to 100 letters"):
        Schedule(name, "0 3 * * *", job=REPORT)


def test_a_job_that_says_itself_when_is_refused() -> None:
    """Neither a fixed time nor a key that would let it run once only."""
    with pytest.raises(SettingsError, match="schedule x: job has a run_at"):
        Schedule("x", "0 3 * * *", job=NewJob(type="REPORT", run_at=datetime(2026, 1, 1, tzinfo=UTC)))
    with pytest.raises(SettingsError, match=r"schedule x: job has a dedupe key .*scope='live'"):
        Schedule("x", "0 3 * * *", job=NewJob(type="REPORT", dedupe_key="k"))


def test_a_tick_is_in_the_key_of_its_job() -> None:
    """In UTC, whatever the zone; a key of the job's own stays."""
    tick = datetime(2026, 11, 24, 3, tzinfo=BERLIN)
    assert "schedule:x:2026-11-24T02:00:00Z" == Schedule("x", "0 3 * * *", job=REPORT).job_at(tick).dedupe_key
    own = NewJob(type="REPORT", dedupe_key="k", scope=DedupeScope.LIVE)
    assert own == Schedule("x", "0 3 * * *", job=own).job_at(tick)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text("0123456789*/-,#LWMONSU²?@", min_size=1, max_size=6), min_size=5, max_size=5))
def test_no_text_does_anything_but_tick_or_be_refused(fields: list[str]) -> None:
    """An expression from outside, say a tenant's own, raises one kind of error."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    try:
        assert Rhythm(" ".join(fields), "Europe/Berlin").next_tick(after=start) > start
    except SettingsError as error:
        assert "cron" in str(error)  # noqa: PT017  (either is right)
