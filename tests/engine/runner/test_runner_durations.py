"""A job is started where it is expected to end in time: its timeout says so first, then how long others took."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from leadjobs import Done, Handler, Job, JobId, Lane, NewJob, Outcome, Report, Snooze, handler
from leadjobs.core.durations import ENOUGH, Durations
from leadjobs.store.connection import connect
from leadjobs.store.holds import HoldDesk
from leadjobs.store.jobs import JobStore
from leadjobs.testing.clock import FakeClock

if TYPE_CHECKING:
    from tests.engine.runner.conftest import Stage

AnyJob = Job[dict[str, Any]]


def seconds(span: float) -> timedelta:
    return timedelta(seconds=span)


def taking(clock: FakeClock, type_name: str, span: float, *, timeout: float, lane: Lane = Lane.LIVE) -> Handler[Any]:
    """A handler that takes so many seconds of the clock."""

    @handler(type_name, payload=dict, timeout=timeout, lane=lane)
    async def take(job: AnyJob) -> Outcome:
        clock.advance(seconds(span))
        return Done()

    return take


@pytest.fixture
def clock() -> FakeClock:
    """A clock that only handlers move."""
    return FakeClock(datetime.now(UTC) + seconds(60))


async def test_what_runs_really_take_decides_once_enough_have_ended(stage: "Stage", clock: FakeClock) -> None:
    """Jobs of 2 s with a timeout of 60 s fill all of 100 s, not only the first 40."""
    quick = taking(clock, "QUICK", 2, timeout=60)
    await stage.add(*(NewJob(type="QUICK") for _ in range(60)))

    report = await stage.runner(quick, budget=seconds(100), reserve=seconds(1), concurrency=1, clock=clock).run()

    assert (report.claimed, report.handed_back, report.stopped) == (48, 0, "deadline")
    assert report.too_long == ("QUICK",)


async def test_too_few_runs_say_nothing(stage: "Stage", clock: FakeClock) -> None:
    """With a timeout of 70 s the first 30 s see 15 jobs of 2 s: the timeout counts on."""
    quick = taking(clock, "QUICK", 2, timeout=70)
    await stage.add(*(NewJob(type="QUICK") for _ in range(60)))

    report = await stage.runner(quick, budget=seconds(100), reserve=seconds(1), concurrency=1, clock=clock).run()

    assert report.claimed == 15 < ENOUGH


async def test_what_is_learned_lasts_across_invocations(stage: "Stage", clock: FakeClock) -> None:
    """Each is a new process: what it needs is in the reports of those before it."""
    quick = taking(clock, "QUICK", 2, timeout=70)
    await stage.add(*(NewJob(type="QUICK") for _ in range(200)))

    async def run() -> Report:
        runner = stage.runner(quick, budget=seconds(100), reserve=seconds(1), concurrency=1, clock=clock)
        return await runner.run()

    assert [15, 48, 48] == [(await run()).claimed for _ in range(3)]
    clock.advance(timedelta(days=1))
    assert (await run()).claimed == 15, "a day later the timeout counts again"


async def test_a_queue_that_is_drained_in_time_looks_nothing_up(
    stage: "Stage", clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The statement is asked once in an invocation, where due work does not fit any more; else never."""
    asked: list[JobStore] = []
    find = JobStore.find_durations

    async def find_durations(store: JobStore) -> Durations:
        asked.append(store)
        return await find(store)

    monkeypatch.setattr(JobStore, "find_durations", find_durations)
    quick = taking(clock, "QUICK", 2, timeout=60)
    await stage.add(*(NewJob(type="QUICK") for _ in range(40)))
    runner = stage.runner(quick, budget=seconds(200), reserve=seconds(1), concurrency=1, clock=clock)
    assert ((await runner.run()).stopped, len(asked)) == ("drained", 0)

    await stage.add(*(NewJob(type="QUICK") for _ in range(200)))
    assert ((await runner.run()).stopped, len(asked)) == ("deadline", 1)


async def test_only_runs_that_ended_by_themselves_tell_how_long_work_takes(stage: "Stage", clock: FakeClock) -> None:
    """A hundred that said "not now" at once are no hundred quick ones."""

    @handler("LATER", payload=dict, timeout=60)
    async def later(job: AnyJob) -> Outcome:
        return Snooze(timedelta(days=1))

    await stage.add(*(NewJob(type="LATER") for _ in range(100)))
    await stage.runner(later, clock=clock).run()

    assert await stage.value("SELECT report -> 'durations' FROM runner_invocation") is None


async def test_runs_that_are_cut_raise_what_is_expected(
    stage: "Stage", clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After 100 quick runs all take 90 s: a few are cut, at no cost, and then none is started too late any more."""
    monkeypatch.setattr("leadjobs.runner.LOOK_EVERY", 0.01)
    quick = taking(clock, "WORK", 0.5, timeout=95)
    await stage.add(*(NewJob(type="WORK") for _ in range(100)))
    await stage.runner(quick, concurrency=1, clock=clock).run()

    @handler("WORK", payload=dict, timeout=95)
    async def slow(job: AnyJob) -> Outcome:
        left = job.time_left()
        clock.advance(seconds(min(90, left)))
        await asyncio.Event().wait() if left < 90 else None
        return Done()

    ids = await stage.add(*(NewJob(type="WORK") for _ in range(40)))
    runner = stage.runner(slow, concurrency=1, budget=seconds(100), reserve=seconds(1), clock=clock)
    cuts = [(await runner.run()).handed_back for _ in range(6)]

    assert [1, 1, 1, 0, 0, 0] == cuts, "3 cuts and 3 slow runs are more than one in twenty of 106"
    assert {0} == {(await stage.job(id_))["attempts"] for id_ in ids}


async def test_what_fits_only_the_beginning_of_an_invocation_gets_it(
    stage: "Stage", clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job of the low lane that needs nearly all the time, beside live work without end, and one slot."""
    turns = iter(range(6))  # a chance of one in six, without the chance
    monkeypatch.setattr("leadjobs.core.plan._anywhere", lambda _: next(turns))
    short = taking(clock, "SHORT", 10, timeout=20)
    long = taking(clock, "LONG", 85, timeout=90, lane=Lane.BACKFILL)
    (id_,) = await stage.add(NewJob(type="LONG", lane=Lane.BACKFILL))
    await stage.add(*(NewJob(type="SHORT") for _ in range(100)))
    runner = stage.runner(short, long, concurrency=1, budget=seconds(100), clock=clock)

    for _ in range(6):
        report = await runner.run()
        assert report.stopped == "deadline"

    assert (await stage.job(id_))["state"] == "SUCCEEDED"
    assert (await stage.states())["SUCCEEDED"] == 1 + 5 * 8


async def test_why_a_job_waits_for_time_can_be_asked_for(stage: "Stage", clock: FakeClock) -> None:
    """The type, what is expected, and from how many runs that was learned."""
    long = taking(clock, "LONG", 80, timeout=85)
    await stage.add(NewJob(type="FIRST"))
    ids: list[JobId] = []

    @handler("FIRST", payload=dict, timeout=30)
    async def adds(job: AnyJob) -> Outcome:
        clock.advance(seconds(20))
        ids.extend(await stage.add(NewJob(type="LONG")))
        return Done()

    runner = stage.runner(adds, long, budget=seconds(100), concurrency=1, clock=clock)
    report = await runner.run()
    assert report.too_long == ("LONG",)

    async with connect(stage.url) as connection:
        (why,) = await HoldDesk(connection).why(ids[0], runner.registry)
    assert why.startswith("it did not fit the time left of an invocation that ended at ")
    assert why.endswith("85.0 s are expected after 0 runs that ended and 0 that were cut, and its timeout is 85 s")
