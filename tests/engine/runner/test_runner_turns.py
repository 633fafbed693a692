"""Whose turn it is: tenants, lanes, and what was committed late."""

from typing import TYPE_CHECKING, Any

from leadjobs import Done, Job, Lane, NewJob, Outcome, handler

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
