"""Ticks of schedules in the database: one job each, whoever meets them and however late."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg.rows import DictRow

from leadjobs import DedupeScope, Done, Handler, Job, NewJob, Outcome, Registry, Schedule, State, handler
from leadjobs.errors import ScheduleNotFoundError, SettingsError
from leadjobs.store.connection import connect
from leadjobs.store.schedules import ScheduleStore
from leadjobs.timetable import Timetable

Other = psycopg.AsyncConnection[DictRow]
Shelf = Any  # of conftest.py; its clock stands at noon

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
NOON = datetime(2035, 11, 23, 12, tzinfo=UTC)
REPORT = NewJob(type="REPORT", payload={"to": "ada"}, tenant="acme")


@handler("REPORT", payload=dict)
async def report(job: Job[dict[str, Any]]) -> Outcome:
    return Done()


@handler("OTHER", payload=dict[str, int])
async def other_type(job: Job[dict[str, int]]) -> Outcome:
    return Done()


def timetable(*schedules: Schedule, handlers: tuple[Handler[Any], ...] = (report, other_type)) -> Timetable:
    return Timetable(schedules, Registry(*handlers))


def hourly(name: str = "hourly", cron: str = "0 * * * *", **more: Any) -> Schedule:
    return Schedule(name, cron, **({"job": REPORT} | more))


async def meet(shelf: Shelf, *schedules: Schedule) -> int:
    """What one invocation does about schedules."""
    return await timetable(*schedules).enqueue_due(shelf.db, shelf.clock)


async def keys(shelf: Shelf) -> list[str | None]:
    """The dedupe keys of all jobs, oldest first."""
    return [row["dedupe_key"] for row in await shelf.rows("SELECT dedupe_key FROM background_job ORDER BY id")]


async def test_a_new_schedule_starts_with_the_next_tick(shelf: Shelf) -> None:
    """What passed before it was declared is not caught up, though it passed a moment ago."""
    assert 0 == await meet(shelf, hourly())
    shelf.clock.advance(HOUR - timedelta(microseconds=1))
    assert 0 == await meet(shelf, hourly())
    shelf.clock.advance(timedelta(microseconds=1))
    assert [1, 0] == [await meet(shelf, hourly()), await meet(shelf, hourly())]
    assert ["schedule:hourly:2035-11-23T13:00:00Z"] == await keys(shelf)
    (job,) = await shelf.rows("SELECT * FROM background_job")
    assert ("REPORT", "acme", {"to": "ada"}, "PENDING") == (job["type"], job["tenant"], job["payload"], job["state"])


async def test_missed_ticks_are_one_job_for_the_newest(shelf: Shelf) -> None:
    """After a day without a single invocation."""
    await meet(shelf, hourly())
    shelf.clock.advance(24 * HOUR + MINUTE)
    assert 1 == await meet(shelf, hourly())
    assert ["schedule:hourly:2035-11-24T12:00:00Z"] == await keys(shelf)


async def test_racing_invocations_make_one_job_of_a_tick(shelf: Shelf) -> None:
    """Eight connections at once, tick after tick of three schedules: each tick has one job, and somebody made it."""
    table = timetable(*(hourly(f"s{n}", "* * * * *") for n in range(3)))
    await table.enqueue_due(shelf.db, shelf.clock)
    rounds = 20
    async with asyncio.timeout(60):
        opened = [connect(shelf.url) for _ in range(8)]
        connections = [await each.__aenter__() for each in opened]
        for _ in range(rounds):
            shelf.clock.advance(MINUTE)
            made = await asyncio.gather(*(table.enqueue_due(each, shelf.clock) for each in connections))
            assert 3 == sum(made)
        for each in opened:
            await each.__aexit__(None, None, None)

    assert 3 * rounds == len(await keys(shelf)) == len(set(await keys(shelf)))


async def test_who_meets_a_tick_that_somebody_is_taking_steps_over_it(shelf: Shelf, other: Other) -> None:
    """He does not wait, for the other may be frozen; where the other does not commit the tick is still owed."""
    await meet(shelf, hourly())
    shelf.clock.advance(HOUR)
    tick = {"hourly": shelf.clock.database_now()}
    assert {"hourly"} == await ScheduleStore(other).take_ticks(tick)
    async with asyncio.timeout(5):
        assert 0 == await meet(shelf, hourly())
    await other.rollback()
    assert 1 == await meet(shelf, hourly())


async def test_a_tick_is_taken_once(shelf: Shelf, other: Other) -> None:
    """Who comes after the commit gets nothing; nor does who saw an older one, or looked before a pause."""
    await meet(shelf, hourly())
    store, taker = ScheduleStore(shelf.db, shelf.clock), ScheduleStore(other)
    tick = shelf.clock.database_now() + HOUR
    assert {"hourly"} == await taker.take_ticks({"hourly": tick})
    await other.commit()
    assert set() == await store.take_ticks({"hourly": tick})
    assert set() == await store.take_ticks({"hourly": tick - MINUTE})
    await store.pause("hourly", by="ada")
    assert set() == await store.take_ticks({"hourly": tick + HOUR})


async def test_a_tick_and_its_job_commit_together(shelf: Shelf) -> None:
    """Where the job cannot be added the tick is owed still."""
    await meet(shelf, hourly())
    shelf.clock.advance(HOUR)
    await shelf.db.execute("ALTER TABLE background_job ADD CONSTRAINT no CHECK (type <> 'REPORT')")
    with pytest.raises(psycopg.errors.CheckViolation):
        await meet(shelf, hourly())
    await shelf.db.execute("ALTER TABLE background_job DROP CONSTRAINT no")
    assert 1 == await meet(shelf, hourly())


async def test_a_tick_whose_job_is_there_adds_none(shelf: Shelf) -> None:
    """The key holds also where the table of schedules was put back, from a backup say."""
    await meet(shelf, hourly())
    shelf.clock.advance(HOUR)
    await meet(shelf, hourly())
    await shelf.db.execute("UPDATE job_schedule SET last_tick = NULL")
    assert 1 == await meet(shelf, hourly())
    assert 1 == len(await keys(shelf))


async def test_a_changed_expression_takes_effect_at_the_next_tick(shelf: Shelf) -> None:
    """Its ticks before the change are not caught up; what the old one owed is paid."""
    await meet(shelf, hourly())
    shelf.clock.advance(HOUR + 30 * MINUTE)
    assert 1 == await meet(shelf, hourly(cron="15 * * * *"))  # 13:00 was owed; 13:15 is past
    assert 0 == await meet(shelf, hourly(cron="15 * * * *"))
    shelf.clock.advance(45 * MINUTE)
    assert 1 == await meet(shelf, hourly(cron="15 * * * *"))
    assert ["schedule:hourly:2035-11-23T13:00:00Z", "schedule:hourly:2035-11-23T14:15:00Z"] == await keys(shelf)


async def test_a_changed_zone_takes_effect_at_the_next_tick(shelf: Shelf) -> None:
    """The same time of day, elsewhere: it has passed there already."""
    await meet(shelf, hourly(cron="30 11 * * *"))
    assert 0 == await meet(shelf, hourly(cron="30 11 * * *", tz="Europe/Berlin"))  # 10:30 in UTC
    shelf.clock.advance(22 * HOUR + 30 * MINUTE)
    assert 1 == await meet(shelf, hourly(cron="30 11 * * *", tz="Europe/Berlin"))


async def test_a_changed_job_is_the_next_tick_s(shelf: Shelf) -> None:
    """It moves no tick."""
    await meet(shelf, hourly())
    shelf.clock.advance(HOUR)
    assert 1 == await meet(shelf, hourly(job=NewJob(type="OTHER", payload={"n": 1})))
    assert ["OTHER"] == [row["type"] for row in await shelf.rows("SELECT type FROM background_job")]
    assert ["OTHER"] == [line.type for line in await ScheduleStore(shelf.db, shelf.clock).list_schedules()]


async def test_the_ticks_of_a_paused_schedule_pass_by(shelf: Shelf) -> None:
    """Resumed, it starts with the next tick, as a new one does."""
    store = ScheduleStore(shelf.db, shelf.clock)
    await meet(shelf, hourly())
    await store.pause("hourly", by="ada")
    await store.pause("hourly", by="bob")
    shelf.clock.advance(2 * HOUR)
    assert 0 == await meet(shelf, hourly())
    (line,) = await store.list_schedules()
    assert (None, "ada", NOON) == (line.next_tick, line.paused_by, line.paused_at)
    await store.resume("hourly")
    assert 0 == await meet(shelf, hourly())
    shelf.clock.advance(HOUR)
    await store.resume("hourly")  # not paused: what is owed stays owed
    assert 1 == await meet(shelf, hourly())
    for act in (store.pause("daily", by="ada"), store.resume("daily")):
        with pytest.raises(ScheduleNotFoundError, match="no schedule daily"):
            await act


async def test_a_key_of_its_own_lets_one_job_stand_for_several_ticks(shelf: Shelf) -> None:
    """While the last tick's job has not ended, a tick adds none; after it, the next does."""
    own = hourly(job=NewJob(type="REPORT", dedupe_key="report", scope=DedupeScope.LIVE))
    await meet(shelf, own)
    for _ in range(2):
        shelf.clock.advance(HOUR)
        assert 1 == await meet(shelf, own)
    assert ["report"] == await keys(shelf)
    await shelf.db.execute("UPDATE background_job SET state = 'SUCCEEDED', finished_at = now()")
    shelf.clock.advance(HOUR)
    await meet(shelf, own)
    assert ["report", "report"] == await keys(shelf)


async def test_a_list_shows_what_each_schedule_did_and_will_do(shelf: Shelf) -> None:
    """The job of the last tick with its state, as long as it is kept; the next tick, or the one that is owed."""
    store = ScheduleStore(shelf.db, shelf.clock)
    await meet(shelf, hourly())
    shelf.clock.advance(HOUR)
    (line,) = await store.list_schedules()
    assert (None, NOON + HOUR, None) == (line.last_tick, line.next_tick, line.last_job_state)
    await meet(shelf, hourly())
    (line,) = await store.list_schedules()
    assert (NOON + HOUR, NOON + 2 * HOUR, State.PENDING) == (line.last_tick, line.next_tick, line.last_job_state)
    await shelf.db.execute("DELETE FROM background_job")
    await shelf.db.execute("UPDATE job_schedule SET tz = 'Atlantis/Capital'")
    (line,) = await store.list_schedules()
    assert (None, None) == (line.last_job_state, line.next_tick)
    assert 0 == await meet(shelf, hourly())


async def test_a_declaration_is_noted_again_within_an_hour(shelf: Shelf) -> None:
    """So that one can see which schedules no app has any more; not in each invocation."""
    await meet(shelf, hourly(cron="0 0 1 1 *"))
    for span, noted in ((59 * MINUTE, NOON), (MINUTE, NOON + HOUR)):
        shelf.clock.advance(span)
        await meet(shelf, hourly(cron="0 0 1 1 *"))
        assert [noted] == [line.noted_at for line in await ScheduleStore(shelf.db).list_schedules()]


async def test_one_statement_where_nothing_is_due(shelf: Shelf, caplog: pytest.LogCaptureFixture) -> None:
    """However many schedules there are; and none at all without schedules."""
    many = [hourly(f"s{n}") for n in range(50)]
    await meet(shelf, *many)
    asked: list[str] = []

    class Counted(psycopg.AsyncCursor[DictRow]):
        async def execute(self, query: Any, *more: Any, **rest: Any) -> "Counted":
            asked.append(query)
            return await super().execute(query, *more, **rest)

    shelf.db.cursor_factory = Counted
    assert 0 == await meet(shelf, *many)
    assert 1 == len(asked)
    assert 0 == await meet(shelf)
    assert 1 == len(asked)


async def test_a_stricter_default_isolation_level_stops_no_schedule(shelf: Shelf) -> None:
    """The transaction of a tick says itself what it needs."""
    await shelf.db.execute("SET default_transaction_isolation = 'serializable'")
    await meet(shelf, hourly())
    shelf.clock.advance(HOUR)
    assert 1 == await meet(shelf, hourly())


@pytest.mark.parametrize(
    ("schedules", "words"),
    [
        ([hourly(), hourly(cron="1 * * * *")], "two schedules are called hourly: give one"),
        ([hourly(job=NewJob(type="NOBODY"))], "schedule hourly: job is of the type NOBODY.* knows OTHER, REPORT"),
        ([hourly(job=NewJob(type="OTHER", payload={"n": "x"}))], r"schedule hourly: payload of OTHER: n.*\.job\(\)"),
        ([hourly(job=NewJob(type="REPORT", payload={"n": "\0"}))], "schedule hourly: payload holds NUL"),
        ([hourly(job=NewJob(type="REPORT", payload={"n": object()}))], "schedule hourly: payload is not JSON"),
    ],
)
def test_schedules_that_cannot_work_are_refused_at_construction(schedules: list[Schedule], words: str) -> None:
    """By a message that names the schedule and the fix."""
    with pytest.raises(SettingsError, match=words):
        timetable(*schedules)
