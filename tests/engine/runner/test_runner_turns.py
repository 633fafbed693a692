"""Whose turn it is: tenants, lanes, and what was committed late."""

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from leadjobs import Done, Job, Lane, NewJob, Outcome, Retry, RetryPolicy, handler

if TYPE_CHECKING:
    from tests.engine.runner.conftest import Stage

AnyJob = Job[dict[str, Any]]


async def test_a_tenant_with_few_jobs_does_not_wait_for_one_with_many(stage: "Stage") -> None:
    """300 jobs of one tenant are queued first; five each of four others are done within the first 60 ends."""
    ends: list[str] = []

    @handler("TURN", payload=dict)
    async def turn(job: AnyJob) -> Outcome:
        ends.append(job.tenant)
        return Done()

    await stage.add(*(NewJob(type="TURN", tenant="big") for _ in range(300)))
    await stage.add(*(NewJob(type="TURN", tenant=tenant) for tenant in "abcd" for _ in range(5)))

    report = await stage.runner(turn, concurrency=5).run()

    assert report.succeeded == 320
    assert sum(tenant != "big" for tenant in ends[:60]) == 20


async def test_a_tenant_that_comes_late_does_not_wait_for_the_rest(stage: "Stage") -> None:
    """Its one job, added after 50 of 500 of another tenant, is done among the next 150."""
    ends: list[str] = []

    @handler("TURN", payload=dict)
    async def turn(job: AnyJob) -> Outcome:
        ends.append(job.tenant)
        if len(ends) == 50:
            await stage.add(NewJob(type="TURN", tenant="late"))
        return Done()

    await stage.add(*(NewJob(type="TURN", tenant="big") for _ in range(500)))

    await stage.runner(turn, concurrency=5).run()

    assert len(ends) == 501
    assert "late" in ends[50:200]


@pytest.mark.parametrize("concurrency", [8, 200])
async def test_whenever_a_tenant_arrives_it_waits_for_a_stated_number_of_claims(
    stage: "Stage", concurrency: int
) -> None:
    """22,000 jobs of one tenant; ten jobs each of ten others, twice: all are served within the next 500."""
    ends: list[str] = []
    arrived: list[int] = []

    @handler("TURN", payload=dict)
    async def turn(job: AnyJob) -> Outcome:
        ends.append(job.tenant)
        if len(ends) in {300, 1500}:
            wave = len(arrived)
            await stage.add(*(NewJob(type="TURN", tenant=f"{wave}{n}") for n in range(10) for _ in range(10)))
            arrived.append(len(ends))
        if len(ends) == 2300:
            runner.stop()
        return Done()

    await stage.db.execute(
        "INSERT INTO background_job (type, tenant) SELECT 'TURN', 'big' FROM generate_series(1, 22000)"
    )
    runner = stage.runner(turn, concurrency=concurrency)
    await runner.run()

    served = [[at for at, tenant in enumerate(ends) if tenant[0] == str(wave)] for wave in range(2)]
    assert [100, 100] == [len(each) for each in served]
    assert all(each[-1] - begun <= 500 for each, begun in zip(served, arrived, strict=True))


async def test_a_tenant_that_never_has_a_backlog_does_not_starve_one_that_has(stage: "Stage") -> None:
    """Whenever one job of the steady tenant ends its next is there; the one with a backlog gets every second slot."""
    ends: list[str] = []

    @handler("TURN", payload=dict)
    async def turn(job: AnyJob) -> Outcome:
        ends.append(job.tenant)
        if job.tenant == "a steady":
            await stage.add(NewJob(type="TURN", tenant="a steady"))
        if len(ends) == 100:
            runner.stop()
        return Done()

    await stage.add(NewJob(type="TURN", tenant="a steady"), *(NewJob(type="TURN", tenant="z full") for _ in range(200)))
    runner = stage.runner(turn, concurrency=1)
    await runner.run()

    assert ends[:100].count("z full") >= 49


async def test_short_invocations_do_not_all_begin_with_the_same_tenant(stage: "Stage") -> None:
    """Twenty invocations of one job each: three tenants, none of them left out."""
    ends: list[str] = []

    @handler("TURN", payload=dict)
    async def turn(job: AnyJob) -> Outcome:
        ends.append(job.tenant)
        runner.stop()
        return Done()

    await stage.add(*(NewJob(type="TURN", tenant=tenant) for tenant in "abc" for _ in range(30)))
    runner = stage.runner(turn, concurrency=1)
    while len(ends) < 40:
        await runner.run()

    assert {"a", "b", "c"} == set(ends)  # missed by chance once in eleven million runs


async def test_what_is_not_due_yet_is_not_claimed_with_what_is(stage: "Stage") -> None:
    """One stream, one job due and one for tomorrow: only the first is run."""

    @handler("TURN", payload=dict)
    async def turn(job: AnyJob) -> Outcome:
        return Done()

    await stage.add(NewJob(type="TURN"), NewJob(type="TURN", delay=timedelta(days=1)))

    assert 1 == (await stage.runner(turn).run()).claimed


async def test_retries_do_not_hold_up_what_is_new(stage: "Stage") -> None:
    """A burst of failures waits in a lane of its own: while both wait, four of five slots go to new jobs."""
    ends: list[int] = []

    @handler("TURN", payload=dict, retry=RetryPolicy(base=timedelta(), cap=timedelta()))
    async def turn(job: AnyJob) -> Outcome:
        if job.payload.get("fails") and job.attempt == 1:
            return Retry("busy")
        ends.append(job.attempt)
        return Done()

    await stage.add(*(NewJob(type="TURN", payload={"fails": True}) for _ in range(60)))
    runner = stage.runner(turn, concurrency=60)
    await stage.db.execute("UPDATE background_job SET run_at = now() - interval '1 hour'")
    running = asyncio.create_task(runner.run())
    await stage.until("SELECT count(*) = 60 FROM background_job WHERE attempts = 1")
    await running
    assert {"live": 0, "retry": 60} == {
        lane: await stage.value("SELECT count(*) FROM background_job WHERE lane = %s", lane)
        for lane in ("live", "retry")
    }
    await stage.db.execute("UPDATE background_job SET state = 'PENDING', finished_at = NULL, payload = '{}'")
    await stage.add(*(NewJob(type="TURN") for _ in range(60)))
    ends.clear()
    await stage.runner(turn, concurrency=5).run()

    assert 8 <= sum(attempt > 1 for attempt in ends[:60]) <= 15


async def test_backfill_gets_some_slots_while_live_work_waits(stage: "Stage") -> None:
    """One in five, until the live work is done; then all."""
    ends: list[str] = []

    @handler("LIVE", payload=dict)
    async def live(job: AnyJob) -> Outcome:
        ends.append("live")
        return Done()

    @handler("BACKFILL", payload=dict, lane=Lane.BACKFILL)
    async def backfill(job: AnyJob) -> Outcome:
        ends.append("backfill")
        return Done()

    await stage.add(*(NewJob(type="BACKFILL", lane=Lane.BACKFILL) for _ in range(60)))
    await stage.add(*(NewJob(type="LIVE") for _ in range(60)))

    report = await stage.runner(live, backfill, concurrency=5).run()

    assert report.succeeded == 120
    assert 5 <= ends[:50].count("backfill") <= 15
    assert ends[-40:] == ["backfill"] * 40


async def test_a_job_that_was_committed_late_is_found_before_the_queue_is_called_drained(stage: "Stage") -> None:
    """Its place is before what was claimed already: the claimer looks behind itself before it calls a stream dry."""
    ends: list[int] = []

    async with stage.connection() as caller:
        (late,) = await (
            await caller.execute("INSERT INTO background_job (type) VALUES ('TURN') RETURNING id")
        ).fetchall()

        @handler("TURN", payload=dict)
        async def turn(job: AnyJob) -> Outcome:
            ends.append(job.id)
            if len(ends) == 3:
                await caller.commit()
            return Done()

        ids = await stage.add(*(NewJob(type="TURN") for _ in range(4)))
        report = await stage.runner(turn, concurrency=1).run()

    assert sorted([late["id"], *ids]) == sorted(ends)
    assert late["id"] < min(ids)
    assert (report.succeeded, report.due, report.stopped) == (5, 0, "drained")
