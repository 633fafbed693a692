"""Attempts: what costs one, how many there are, when the next is, and what happens to a job that kills its process."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from tests.engine.runner.stubborn import stubborn_until

from leadjobs import Done, GiveUp, Job, JobType, NewJob, OnConflict, Outcome, Retry, RetryPolicy, Snooze, handler
from leadjobs.errors import ProviderUnavailableError
from leadjobs.testing.clock import FakeClock

if TYPE_CHECKING:
    from tests.engine.runner.conftest import Stage

AnyJob = Job[dict[str, Any]]
AT_ONCE = RetryPolicy(max_attempts=3, base=timedelta(), cap=timedelta())


@pytest.fixture
def clock() -> FakeClock:
    """A clock that stands still, an hour from now."""
    return FakeClock(datetime.now(UTC) + timedelta(hours=1))


async def test_errors_use_up_the_attempts(stage: "Stage") -> None:
    """The last one ends the job FAILED, and says how many there were and what the last one was."""
    attempts: list[int] = []

    @handler("FAILS", payload=dict, retry=AT_ONCE)
    async def fails(job: AnyJob) -> Outcome:
        attempts.append(job.attempt)
        raise ValueError(f"no {job.attempt}")

    (id_,) = await stage.add(NewJob(type="FAILS"))

    report = await stage.runner(fails).run()

    job = await stage.job(id_)
    assert (job["state"], job["attempts"], job["reason"]) == ("FAILED", 3, "out of attempts (3): ValueError: no 3")
    assert (attempts, await stage.records(id_)) == ([1, 2, 3], ["failed"] * 3)
    assert (report.retried, report.failed, report.stopped) == (2, 1, "drained")
    trace = await stage.value("SELECT trace FROM job_attempt WHERE job_id = %s ORDER BY id LIMIT 1", id_)
    assert "ValueError: no 1" in trace


async def test_a_retry_that_is_asked_for_is_an_attempt(stage: "Stage") -> None:
    """Retry says that this attempt failed, so the last one ends the job."""

    @handler("RETRIES", payload=dict, retry=AT_ONCE)
    async def retries(job: AnyJob) -> Outcome:
        return Retry("mailbox is busy")

    (id_,) = await stage.add(NewJob(type="RETRIES"))

    await stage.runner(retries).run()

    job = await stage.job(id_)
    assert (job["state"], job["reason"]) == ("FAILED", "out of attempts (3): mailbox is busy")


async def test_snoozes_cost_no_attempt(stage: "Stage", clock: FakeClock) -> None:
    """A job may wait as often as it must, each time for as long as it said."""

    @handler("WAITS", payload=dict, retry=RetryPolicy(max_attempts=1))
    async def waits(job: AnyJob) -> Outcome:
        await stage.note("start", job.id)
        if len(await stage.effects()) < 4:
            return Snooze(timedelta(minutes=5), "outside office hours")
        return Done()

    (id_,) = await stage.add(NewJob(type="WAITS"))
    runner = stage.runner(waits, clock=clock)
    for _ in range(3):
        report = await runner.run()
        job = await stage.job(id_)
        assert (
            report.snoozed,
            job["state"],
            job["attempts"],
            job["reason"],
        ) == (1, "PENDING", 0, "outside office hours")
        assert clock.database_now() + timedelta(minutes=5) == job["run_at"]
        clock.advance(timedelta(minutes=5))

    assert (await runner.run()).succeeded == 1
    assert await stage.records(id_) == []


async def test_hand_backs_cost_no_attempt(stage: "Stage") -> None:
    """With one attempt in all, a job is handed back twice and ends well in the third run."""
    started = asyncio.Event()

    @handler("LONG", payload=dict, retry=RetryPolicy(max_attempts=1))
    async def long(job: AnyJob) -> Outcome:
        started.set()
        if job.lease.lease_no < 4:
            await asyncio.Event().wait()
        return Done()

    (id_,) = await stage.add(NewJob(type="LONG"))
    runner = stage.runner(long)
    for _ in range(2):
        started.clear()
        running = asyncio.create_task(runner.run())
        await started.wait()
        runner.stop()
        assert (await running).handed_back == 1
    await runner.run()

    job = await stage.job(id_)
    assert (job["state"], job["attempts"]) == ("SUCCEEDED", 0)
    assert await stage.records(id_) == ["handed_back"] * 2


async def test_a_permanent_error_ends_the_job_at_once(stage: "Stage") -> None:
    """Classes that the policy calls permanent, and their subclasses, are not tried again; others are."""

    @handler("LOOKS_UP", payload=dict, retry=RetryPolicy(permanent=(LookupError,)))
    async def looks_up(job: AnyJob) -> Outcome:
        raise KeyError("lead") if job.payload["is_gone"] else ValueError("busy")

    gone, busy = await stage.add(*(NewJob(type="LOOKS_UP", payload={"is_gone": is_gone}) for is_gone in (True, False)))

    await stage.runner(looks_up).run()

    job = await stage.job(gone)
    assert (job["state"], job["attempts"], job["reason"]) == ("FAILED", 1, "gave up: KeyError: 'lead'")
    assert (await stage.job(busy))["state"] == "PENDING"


async def test_giving_up_ends_the_job_at_once(stage: "Stage") -> None:
    """The handler knows best."""

    @handler("GIVES_UP", payload=dict)
    async def gives_up(job: AnyJob) -> Outcome:
        return GiveUp("the lead was deleted")

    (id_,) = await stage.add(NewJob(type="GIVES_UP"))

    report = await stage.runner(gives_up).run()

    job = await stage.job(id_)
    assert (
        job["state"],
        job["attempts"],
        job["reason"],
        report.failed,
    ) == ("FAILED", 1, "gave up: the lead was deleted", 1)


@pytest.mark.parametrize(
    ("ending", "wait"),
    [
        (Retry("busy", after=timedelta(minutes=3)), timedelta(minutes=3)),
        (ProviderUnavailableError("busy", retry_after=90), timedelta(seconds=90)),
        (ProviderUnavailableError("busy", retry_after=1e300), timedelta(hours=6)),
        (ProviderUnavailableError("busy", retry_after=float("inf")), timedelta(hours=6)),
        (Retry("busy", after=timedelta(seconds=-5)), timedelta()),
    ],
    ids=["outcome", "exception", "too long", "for ever", "before now"],
)
async def test_a_failure_may_say_when_to_try_again(
    stage: "Stage", clock: FakeClock, ending: Outcome | Exception, wait: timedelta
) -> None:
    """A provider's Retry-After overrides the backoff, within bounds, counted from now by the database's clock."""

    @handler("BUSY", payload=dict, retry=RetryPolicy(max_attempts=2))
    async def busy(job: AnyJob) -> Outcome:
        if job.attempt == 2:
            return Done()
        if isinstance(ending, Exception):
            raise ending
        return ending

    (id_,) = await stage.add(NewJob(type="BUSY"))
    now = clock.database_now()

    await stage.runner(busy, clock=clock).run()

    assert now + wait == (await stage.job(id_))["run_at"]
    clock.advance(wait)
    await stage.runner(busy, clock=clock).run()
    assert ((job := await stage.job(id_))["state"], job["attempts"]) == ("SUCCEEDED", 1)


async def test_a_retry_waits_its_backoff(stage: "Stage", clock: FakeClock) -> None:
    """It is not due before, and the wait is within the policy's bounds."""

    @handler("FAILS", payload=dict, retry=RetryPolicy(base=timedelta(minutes=1)))
    async def fails(job: AnyJob) -> Outcome:
        raise ValueError("no")

    ids = await stage.add(*(NewJob(type="FAILS") for _ in range(20)))
    now = clock.database_now()

    await stage.runner(fails, clock=clock).run()

    waits = [(await stage.job(id_))["run_at"] - now for id_ in ids]
    assert all(timedelta() <= wait <= timedelta(minutes=1) for wait in waits)
    assert len(set(waits)) > 1


@pytest.mark.parametrize("end", ["done", "fails", "handed back", "lost"])
async def test_a_replace_during_the_run_makes_one_follow_up(stage: "Stage", end: str) -> None:
    """However the run ends, the job runs once more with the newest payload, all its attempts, and a new generation."""
    kind = JobType(name="SYNC", payload=dict, retry=AT_ONCE)
    started, go = asyncio.Event(), asyncio.Event()
    seen: list[tuple[int, int, int]] = []

    @handler(kind)
    async def sync(job: AnyJob) -> Outcome:
        seen.append((job.payload["version"], job.generation, job.attempt))
        if len(seen) == 1:
            started.set()
            await go.wait()
            if end == "fails":
                raise ValueError("no")
        return Done()

    async def change(version: int) -> None:
        await stage.add(kind.job({"version": version}, dedupe_key="crm", on_conflict=OnConflict.REPLACE))

    await change(1)
    runner = stage.runner(sync)
    running = asyncio.create_task(runner.run())
    await started.wait()
    await change(2)
    await change(3)
    if end == "handed back":
        runner.stop()
    elif end == "lost":
        await stage.end_leases()
        await stage.runner(sync).run()
    go.set()
    await running
    await stage.runner(sync).run()

    assert seen == [(1, 1, 1), (3, 2, 1)]
    assert [
        (job["state"], job["payload"], job["next_payload"], job["attempts"])
        for job in await stage.rows("SELECT * FROM background_job")
    ] == [("SUCCEEDED", {"version": 3}, None, 0)]


@pytest.mark.direct("waits for the last statement of a connection that is the runner's own")
async def test_a_job_that_was_lost_runs_alone(stage: "Stage") -> None:
    """Nothing is started beside it, and what waits runs after it."""

    @handler("LOST", payload=dict)
    async def lost(job: AnyJob) -> Outcome:
        # Until the runner has looked at its leases: it went around while this ran, and could have started others.
        await stage.until(
            "SELECT count(*) = 1 FROM pg_stat_activity WHERE application_name = 'leadjobs' AND pid <> pg_backend_pid()"
            " AND datname = current_database() AND query LIKE '%%IS DISTINCT FROM mine.lease_no%%'"
        )
        await stage.note("lost", job.id)
        return Done()

    @handler("OTHER", payload=dict)
    async def other(job: AnyJob) -> Outcome:
        await stage.note("other", job.id)
        return Done()

    (id_,) = await stage.add(NewJob(type="LOST"))
    await stage.db.execute(
        "UPDATE background_job SET state = 'RUNNING', lease_no = 1, lease_until = now() - interval '1 second'"
    )
    await stage.add(*(NewJob(type="OTHER") for _ in range(5)))

    report = await stage.runner(lost, other).run()

    assert (report.succeeded, report.rescued) == (6, 1)
    assert (await stage.effects())[0] == (id_, "lost")


@pytest.mark.parametrize("lane", ["live", "alone"])
@pytest.mark.parametrize("ended_by", ["its timeout", "hand"])
async def test_a_run_that_does_not_end_of_its_cancellation_keeps_no_lost_job_from_its_turn(
    stage: "Stage", monkeypatch: pytest.MonkeyPatch, ended_by: str, lane: str
) -> None:
    """An endless runner would wait for ever until nothing runs beside it; and claim nothing more meanwhile."""
    monkeypatch.setattr("leadjobs.claimer.ALONE_EVERY", 0.1)
    monkeypatch.setattr("leadjobs.watch.STUCK_AFTER", 0.1)
    released = asyncio.Event()

    stubborn = stubborn_until(released, timeout=0.2 if ended_by == "its timeout" else 60)

    @handler("LOST", payload=dict)
    async def lost(job: AnyJob) -> Outcome:
        return Done()

    (id_,) = await stage.add(NewJob(type="STUBBORN"))
    await stage.db.execute("UPDATE background_job SET lane = %s", [lane])
    runner = stage.runner(stubborn, lost, concurrency=1)
    running = asyncio.create_task(runner.run_until_stopped())
    await stage.until("SELECT count(*) = 1 FROM background_job WHERE state = 'RUNNING'")
    if ended_by == "hand":
        await stage.cancel(id_)
    await stage.db.execute(
        "INSERT INTO background_job (type, tenant, payload, lane, run_at) VALUES ('LOST', '', '{}', 'alone', now())"
    )
    await stage.add(NewJob(type="LOST"))
    try:
        await stage.until("SELECT count(*) = 2 FROM background_job WHERE state = 'SUCCEEDED'")
    finally:
        runner.stop()
        released.set()
        await running


async def test_a_killer_of_processes_ends_alone_and_takes_no_neighbour_with_it(stage: "Stage") -> None:
    """It is lost with all its neighbours once, then alone until it FAILED; they all succeed with no attempt used."""
    (killer,) = await stage.add(NewJob(type="KILLER"))
    neighbours = await stage.add(*(NewJob(type="NEIGHBOUR") for _ in range(10)))

    exits: list[int] = []
    while await stage.value("SELECT count(*) FROM background_job WHERE state IN ('PENDING', 'RUNNING')"):
        assert len(exits) < 6
        exits.append(await (await stage.process()).wait())
        await stage.end_leases()

    assert (exits.count(-9), exits[-1]) == (3, 0)
    job = await stage.job(killer)
    assert (job["state"], job["attempts"], job["losses"], await stage.records(killer)) == ("FAILED", 0, 2, ["lost"] * 3)
    assert job["reason"].startswith("lost")
    for id_ in neighbours:
        job = await stage.job(id_)
        assert (job["state"], job["attempts"], await stage.records(id_)) == ("SUCCEEDED", 0, ["lost"])
    starts = await stage.rows("SELECT running FROM effect WHERE what = 'killer' ORDER BY id")
    assert [start["running"] for start in starts[1:]] == [1, 1]
    assert [row["running"] for row in await stage.rows("SELECT running FROM effect WHERE what = 'done'")] == [1] * 10
