"""Who does not fit a budget: when it asks again, soon or on the next day (G10)."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from leadjobs import Done, Job, NewJob, Outcome, Retry, RetryPolicy, handler
from leadjobs.store.budget_desk import BudgetDesk
from leadjobs.store.connection import connect
from leadjobs.testing.clock import FakeClock

if TYPE_CHECKING:
    from tests.engine.runner.conftest import Stage

AnyJob = Job[dict[str, Any]]
AT_ONCE = RetryPolicy(base=timedelta(), max_attempts=5)
SPENDING = NewJob(type="SPENDING", tenant="acme")


async def cap(stage: "Stage", tokens: int, tenant: str = "acme", unit: str = "tokens") -> None:
    """Set a cap, as an operator does."""
    async with connect(stage.url) as connection:
        await BudgetDesk(connection).set_cap(tenant, unit, tokens)


async def test_what_others_have_only_reserved_puts_nobody_off_for_a_day(stage: "Stage") -> None:
    """Five jobs that reserve 6,000 and take 4,000 all fit a cap of 22,000: who is refused meanwhile asks again soon."""
    clock, go = FakeClock((datetime.now(UTC) + timedelta(days=1)).replace(hour=12)), asyncio.Event()
    await cap(stage, 22_000)
    await stage.add(*[SPENDING] * 5)

    @handler("SPENDING", payload=dict)
    async def run(job: AnyJob) -> Outcome:
        async with job.spend(tokens=6000, what="test") as spend:
            await go.wait()
            spend.settle(tokens=4000)
        return Done()

    runner = stage.runner(run, clock=clock)
    running = asyncio.create_task(runner.run())
    await stage.until("SELECT count(*) = 2 FROM background_job WHERE reason LIKE 'over budget%%'")
    waiting = await stage.rows("SELECT reason, run_at FROM background_job WHERE state = 'PENDING'")
    assert {True} == {7 < (row["run_at"] - clock.database_now()).total_seconds() < 13 for row in waiting}
    assert "18000 of 22000 are used of today by acme, 18000 of it only reserved" in waiting[0]["reason"]
    go.set()
    await running
    for _ in range(2):  # the fourth and the fifth do not fit side by side
        clock.advance(timedelta(seconds=13))
        await runner.run()

    assert {"SUCCEEDED": 5} == await stage.states()
    assert [20_000] == [row["used"] for row in await stage.rows("SELECT used FROM job_budget_day")]


async def test_the_more_wait_for_what_others_have_reserved_the_later_each_asks_again(stage: "Stage") -> None:
    """Ten in a second do, and not all at once; what one unit has no room for today waits for tomorrow all the same."""
    clock, go = FakeClock((datetime.now(UTC) + timedelta(days=1)).replace(hour=12)), asyncio.Event()
    await cap(stage, 10)
    await cap(stage, 1, unit="a_calls", tenant="other")
    await cap(stage, 10, tenant="other")

    @handler("FIRST", payload=dict)
    async def first(job: AnyJob) -> Outcome:
        async with job.spend(tokens=6, what="test"):
            await go.wait()
        return Done()

    @handler("SPENDING", payload=dict)
    async def second(job: AnyJob) -> Outcome:
        async with job.spend(tokens=6, a_calls=1, what="test"):
            pass
        return Done()

    await stage.add(NewJob(type="FIRST", tenant="acme"), NewJob(type="FIRST", tenant="other"))
    running = asyncio.create_task(stage.runner(first, clock=clock).run())
    await stage.until("SELECT count(*) = 2 FROM job_spend")
    today = clock.database_now().date()
    await stage.db.execute("INSERT INTO job_budget_day VALUES ('other', 'a_calls', %s, 1)", [today])
    await stage.add(NewJob(type="SPENDING", tenant="other"), *[SPENDING] * 300)
    await stage.runner(second, clock=clock).run()

    waits = [
        (row["run_at"] - clock.database_now()).total_seconds()
        for row in await stage.rows("SELECT run_at FROM background_job WHERE type = 'SPENDING' AND tenant = 'acme'")
    ]
    assert 300 == len(waits)
    assert 20 < sum(waits) / 300 < 40
    assert max(waits) - min(waits) > 10
    (other,) = await stage.rows(
        "SELECT run_at, reason FROM background_job WHERE state = 'PENDING' AND tenant = 'other'"
    )
    assert other["run_at"] == datetime.combine(today + timedelta(days=1), datetime.min.time(), UTC)
    assert "a_calls asked for" in other["reason"]
    go.set()
    await running


@pytest.mark.parametrize("whose", ["its own", "of a job that has ended", "of a former run of one that runs"])
async def test_what_nobody_will_settle_any_more_is_used(stage: "Stage", whose: str) -> None:
    """What was reserved and not told of comes free no more: who does not fit beside it waits for the next day."""
    clock, go = FakeClock((datetime.now(UTC) + timedelta(days=1)).replace(hour=12)), asyncio.Event()
    await cap(stage, 10)

    @handler("SPENDING", payload=dict, retry=AT_ONCE)
    async def untold(job: AnyJob) -> Outcome:
        if job.attempt > 1:
            await go.wait()
            return Done()
        async with job.spend(tokens=6, what="untold"):
            pass
        if whose == "its own":
            async with job.spend(tokens=6, what="too much"):
                pass
        return Done() if whose == "of a job that has ended" else Retry("once more")

    @handler("LATER", payload=dict)
    async def later(job: AnyJob) -> Outcome:
        async with job.spend(tokens=6, what="too much"):
            pass
        return Done()

    await stage.add(SPENDING)
    running = asyncio.create_task(stage.runner(untold, clock=clock).run())
    if whose == "of a former run of one that runs":
        await stage.until("SELECT state = 'RUNNING' AND attempts = 1 FROM background_job")
    else:
        await running
        if whose == "of a job that has ended":
            await stage.until("SELECT state = 'SUCCEEDED' FROM background_job")
    if whose != "its own":
        await stage.add(NewJob(type="LATER", tenant="acme"))
        await stage.runner(later, clock=clock).run()
    go.set()
    await running

    midnight = datetime.combine(clock.database_now().date() + timedelta(days=1), datetime.min.time(), UTC)
    (waits,) = await stage.rows("SELECT run_at, reason FROM background_job WHERE state = 'PENDING'")
    assert midnight == waits["run_at"]
    assert "only reserved" not in waits["reason"]
