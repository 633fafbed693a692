"""Budgets (G10): reserved before a call, settled after it, under the lease; what is unknown stays reserved."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from tests.engine.locks import until_somebody_waits

from leadjobs import Done, Job, LeaseLostError, NewJob, Outcome, OverBudgetError, RetryPolicy, handler
from leadjobs.errors import StoreError
from leadjobs.store.budget_desk import BudgetDesk, BudgetLine
from leadjobs.store.connection import connect
from leadjobs.testing.clock import FakeClock

if TYPE_CHECKING:
    from tests.engine.runner.conftest import Stage

AnyJob = Job[dict[str, Any]]
AT_ONCE = RetryPolicy(base=timedelta(), max_attempts=5)
SPENDING = NewJob(type="SPENDING", tenant="acme")
IDLE = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%%'"
CONSERVED = """
SELECT coalesce(bool_and(day.used = spent.sum), true) AND count(*) > 0 FROM job_budget_day AS day
 CROSS JOIN LATERAL (SELECT sum(coalesce(actual, reserved)) FROM job_spend AS spend
                      WHERE (spend.tenant, spend.unit, spend.day) = (day.tenant, day.unit, day.day)) AS spent
"""


def spending(actual: Any = None, *, fails: bool = False, **amounts: int) -> Any:
    """A handler that reserves, settles at ``actual`` where given, and then fails, or not."""

    @handler("SPENDING", payload=dict, retry=RetryPolicy(max_attempts=1))
    async def run(job: AnyJob) -> Outcome:
        async with job.spend(**amounts, what="test") as spend:
            if actual is not None:
                spend.settle(**actual)
            if fails:
                raise RuntimeError("in the call")
        return Done()

    return run


async def cap(stage: "Stage", tokens: int, tenant: str = "acme", unit: str = "tokens") -> int:
    """Set a cap, as an operator does; how much it let go."""
    async with connect(stage.url) as connection:
        return await BudgetDesk(connection).set_cap(tenant, unit, tokens)


async def day(stage: "Stage") -> dict[str, tuple[int, int]]:
    """What is used of today, and the unknown part of it, by unit."""
    async with connect(stage.url) as connection:
        return {line.unit: (line.used, line.unknown) for line in await BudgetDesk(connection).list_budgets()}


async def test_a_reservation_is_settled_at_what_the_call_took(stage: "Stage") -> None:
    """During the call the reserved amount counts, after it the actual one; without a cap it is only recorded."""
    during: list[Any] = []

    @handler("SPENDING", payload=dict)
    async def run(job: AnyJob) -> Outcome:
        async with job.spend(tokens=6000, usd_micros=2500, what="score") as spend:
            during.append(await day(stage))
            during.append(await stage.value(IDLE))
            spend.settle(tokens=4000, usd_micros=3000)
        return Done()

    (id_,) = await stage.add(SPENDING)
    await stage.runner(run).run()

    assert [{"tokens": (6000, 0), "usd_micros": (2500, 0)}, 0] == during
    assert {"tokens": (4000, 0), "usd_micros": (3000, 0)} == await day(stage)
    kept = await stage.rows(
        "SELECT job_id, generation, lease_no, tenant, unit, what, reserved, actual FROM job_spend ORDER BY id"
    )
    of_job = (id_, 1, 1, "acme")
    assert [(*of_job, "tokens", "score", 6000, 4000), (*of_job, "usd_micros", "score", 2500, 3000)] == [
        tuple(row.values()) for row in kept
    ]
    assert await stage.value(CONSERVED)


async def test_over_budget_a_job_waits_for_the_next_day_at_no_cost(stage: "Stage") -> None:
    """Nothing of any unit is reserved; the reason has the numbers; at midnight (UTC) it runs."""
    clock = FakeClock(datetime.now(UTC) + timedelta(minutes=1))
    today = clock.database_now().date()
    await cap(stage, 100)
    await stage.db.execute("INSERT INTO job_budget_day VALUES ('acme', 'tokens', %s, 95)", [today])
    (id_,) = await stage.add(SPENDING)
    runner = stage.runner(spending({"tokens": 6}, a_calls=1, tokens=6, z_calls=1), clock=clock)

    report = await runner.run()

    job, midnight = await stage.job(id_), datetime.combine(today + timedelta(days=1), datetime.min.time(), UTC)
    assert (1, "PENDING", 0, midnight) == (report.snoozed, job["state"], job["attempts"], job["run_at"])
    assert job["reason"].startswith(
        "over budget: 6 tokens asked for, but 95 of 100 are used of today by acme; more from "
    )
    assert ([], []) == (await stage.records(id_), await stage.rows("SELECT * FROM job_spend"))
    assert [95] == [row["used"] for row in await stage.rows("SELECT used FROM job_budget_day")]

    clock.advance(midnight - clock.database_now())
    assert 1 == (await runner.run()).succeeded
    rows = await stage.rows("SELECT unit, used FROM job_budget_day WHERE day = %s ORDER BY unit", midnight.date())
    assert [("a_calls", 1), ("tokens", 6), ("z_calls", 1)] == [tuple(row.values()) for row in rows]


async def test_raising_the_cap_lets_go_of_what_waits(stage: "Stage") -> None:
    """Jobs that were put off are due at once, a hold of the tenant is gone, and those of others stay."""
    await cap(stage, 5)
    await cap(stage, 5, tenant="other")
    acme, other = await stage.add(SPENDING, NewJob(type="SPENDING", tenant="other"))
    await stage.add(NewJob(type="SPENDING", tenant="acme", delay=timedelta(hours=1)))  # waits for its time alone
    runner = stage.runner(spending(tokens=6))
    assert 2 == (await runner.run()).snoozed
    assert "a whole day has less: raise the cap" in (await stage.job(acme))["reason"]
    assert 1 == await cap(stage, 6)
    await runner.run()

    assert ["SUCCEEDED", "PENDING"] == [(await stage.job(id_))["state"] for id_ in (acme, other)]
    async with connect(stage.url) as connection:
        waiting = await BudgetDesk(connection).list_waiting()
    assert [("SPENDING", "other", 1)] == [(x.type, x.tenant, x.jobs) for x in waiting]


async def test_the_cap_of_everybody_is_for_each_that_has_none(stage: "Stage") -> None:
    """A tenant's own cap counts before that of the tenant *; taken away, the other counts."""
    await cap(stage, 5, tenant="*")
    await cap(stage, 7)
    await stage.add(*(NewJob(type="SPENDING", tenant=tenant) for tenant in ("", "acme", "b")))

    report = await stage.runner(spending(tokens=6)).run()

    assert (1, 2) == (report.succeeded, report.snoozed)
    async with connect(stage.url) as connection:
        desk = BudgetDesk(connection)
        assert [BudgetLine(tenant="acme", unit="tokens", cap=7, is_default=False, used=6, unknown=6)] == [
            line for line in await desk.list_budgets() if line.tenant == "acme"
        ]
        await desk.unset_cap("acme", "tokens")
        assert [5] == [line.cap for line in await desk.list_budgets() if line.tenant == "acme" and line.is_default]
        with pytest.raises(StoreError, match="has no cap of its own"):
            await desk.unset_cap("acme", "tokens")
        assert 2 == await desk.set_cap("*", "tokens", 6)
    assert 2 == (await stage.runner(spending(tokens=6)).run()).succeeded


@pytest.mark.parametrize(
    ("actual", "fails", "expected"),
    [
        (None, False, {"tokens": (10, 10), "calls": (1, 1)}),
        (None, True, {"tokens": (10, 10), "calls": (1, 1)}),
        ({"tokens": 4}, True, {"tokens": (4, 0), "calls": (1, 1)}),
        ({"tokens": 0, "calls": 0}, True, {"tokens": (0, 0), "calls": (0, 0)}),
        ({"tokens": 25}, False, {"tokens": (25, 0), "calls": (1, 1)}),
    ],
    ids=["untold", "failed", "told and failed", "certainly free", "more than reserved"],
)
async def test_what_is_not_told_stays_reserved_as_unknown(
    stage: "Stage", actual: dict[str, int] | None, expected: dict[str, tuple[int, int]], *, fails: bool
) -> None:
    """It may have been billed.  What was told counts, also where the block failed, and over the cap: it was billed."""
    await cap(stage, 10)
    await stage.add(SPENDING)

    await stage.runner(spending(actual, fails=fails, tokens=10, calls=1)).run()

    assert expected == await day(stage)
    assert await stage.value(CONSERVED)


async def test_what_was_told_is_kept_while_the_run_is_cut_off(stage: "Stage") -> None:
    """A cancellation between the end of the block and the settling does not lose what the call took."""
    runs: list[Any] = []
    await stage.add(SPENDING)
    async with stage.connection() as other:

        @handler("SPENDING", payload=dict)
        async def run(job: AnyJob) -> Outcome:
            runs.append(job._run)
            async with job.spend(tokens=10, what="test") as spend:
                await other.execute("SELECT FROM job_budget_day FOR UPDATE")
                spend.settle(tokens=3)
            return Done()

        runner = stage.runner(run)
        running = asyncio.create_task(runner.run())
        await until_somebody_waits(stage.db)
        runner.stop()
        while runs[0].cut is None:  # noqa: ASYNC110  (an attribute sets no event)
            await asyncio.sleep(0)
        await asyncio.sleep(0)  # now it is cancelled
        await other.rollback()
        assert 1 == (await running).handed_back

    assert {"tokens": (3, 0)} == await day(stage)


async def test_an_amount_belongs_to_the_day_it_was_reserved_on(stage: "Stage") -> None:
    """The day is in UTC, by the database's clock; a settle after midnight moves yesterday's row."""
    clock = FakeClock(datetime(2040, 5, 1, 23, 59, tzinfo=UTC))

    @handler("SPENDING", payload=dict)
    async def run(job: AnyJob) -> Outcome:
        async with job.spend(tokens=10, what="test") as spend:
            clock.advance(timedelta(seconds=90))
            spend.settle(tokens=3)
        async with job.spend(tokens=5, what="test"):
            return Done()

    await stage.db.execute("SET timezone TO 'Pacific/Auckland'")
    await stage.add(SPENDING)
    await stage.runner(run, clock=clock, budget=timedelta(minutes=5), reserve=timedelta(seconds=5)).run()

    used = await stage.rows("SELECT day, used FROM job_budget_day ORDER BY day")
    assert [(date(2040, 5, 1), 3), (date(2040, 5, 2), 5)] == [tuple(row.values()) for row in used]


@pytest.mark.parametrize("where", ["before it reserves", "in the call"])
async def test_a_former_owner_changes_no_budget(stage: "Stage", where: str) -> None:
    """It neither reserves, nor settles: what it had reserved stays, as unknown."""
    at, go, raised = asyncio.Event(), asyncio.Event(), list[str]()

    async def wait(when: str) -> None:
        if where == when:
            at.set()
            await go.wait()

    @handler("SPENDING", payload=dict)
    async def run(job: AnyJob) -> Outcome:
        await wait("before it reserves")
        try:
            async with job.spend(tokens=10, what="test") as spend:
                await wait("in the call")
                spend.settle(tokens=1)
        except LeaseLostError as error:
            raised.append(str(error))
            raise
        return Done()

    await stage.add(SPENDING)
    first = asyncio.create_task(stage.runner(run).run())
    await at.wait()
    await stage.db.execute("UPDATE background_job SET lease_no = lease_no + 1")  # as a claim that nobody ends
    go.set()

    assert (1, 1) == ((await first).lost, len(raised))
    assert ({"tokens": (10, 10)} if where == "in the call" else {}) == await day(stage)


async def test_days_are_locked_in_one_order_whatever_a_handler_says(stage: "Stage") -> None:
    """While a job waits for the first unit's row it holds no other: neither to reserve, nor to settle."""

    @handler("SPENDING", payload=dict)
    async def run(job: AnyJob) -> Outcome:
        async with job.spend(b=1, a=1, what="test") as spend:
            await stage.note("reserved")
            spend.settle(b=0, a=0)
        return Done()

    async def others_hold_the_first(waits: Any) -> None:
        async with stage.connection() as other:
            await other.execute("SELECT FROM job_budget_day WHERE unit = 'a' FOR UPDATE")
            await waits
            await until_somebody_waits(stage.db)
            await other.execute("SELECT FROM job_budget_day WHERE unit = 'b' FOR UPDATE NOWAIT")

    today = "CAST(now() AT TIME ZONE 'UTC' AS date)"
    await stage.db.execute(
        f"INSERT INTO job_budget_day SELECT 'acme', unit, {today}, 0 FROM unnest('{{a,b}}'::text[]) AS unit"
    )
    await stage.add(SPENDING)
    running: list[asyncio.Task[Any]] = []

    async def start() -> None:
        running.append(asyncio.create_task(stage.runner(run).run()))

    await others_hold_the_first(start())
    await running[0]
    assert {"a": (0, 0), "b": (0, 0)} == await day(stage)

    @handler("SPENDING", payload=dict)
    async def later(job: AnyJob) -> Outcome:
        async with job.spend(b=1, a=1, what="test") as spend:
            spend.settle(b=0, a=0)
            reserved.set()
            await go.wait()
        return Done()

    reserved, go = asyncio.Event(), asyncio.Event()
    await stage.add(SPENDING)
    running.append(asyncio.create_task(stage.runner(later).run()))
    await reserved.wait()

    async def settle() -> None:
        go.set()

    await others_hold_the_first(settle())
    await running[1]
    assert {"a": (0, 0), "b": (0, 0)} == await day(stage)


async def test_a_cap_that_is_raised_meanwhile_counts(stage: "Stage") -> None:
    """A run that waited for the day's row while somebody raised the cap is not sent away by the old one."""
    await cap(stage, 10)
    await stage.db.execute(
        "INSERT INTO job_budget_day VALUES ('acme', 'tokens', CAST(now() AT TIME ZONE 'UTC' AS date), 5)"
    )
    await stage.add(SPENDING)
    async with stage.connection() as other:
        await other.execute("SELECT FROM job_budget_day FOR UPDATE")
        running = asyncio.create_task(stage.runner(spending({"tokens": 6}, tokens=6)).run())
        await until_somebody_waits(stage.db)
        await cap(stage, 11)
        await other.rollback()
    assert 1 == (await running).succeeded


async def test_what_a_handler_cannot_have_meant_is_an_error(stage: "Stage") -> None:
    """Amounts are whole numbers from 0 up, of units that were reserved; nothing is written before that is clear."""
    raised: list[str] = []

    @handler("SPENDING", payload=dict)
    async def run(job: AnyJob) -> Outcome:
        for amounts in ({}, {"tokens": -1}, {"tokens": 1.5}, {"tokens": True}, {"tokens": 10**16}, {"x" * 101: 1}):
            with pytest.raises(StoreError) as caught:
                async with job.spend(what="test", **amounts):
                    pass
            raised.append(str(caught.value))
        async with job.spend(tokens=1, what="test") as spend:
            for actual in ({"calls": 1}, {"tokens": -1}):
                with pytest.raises(StoreError) as caught:
                    spend.settle(**actual)
                raised.append(str(caught.value))
        return Done()

    await stage.add(SPENDING)
    assert 1 == (await stage.runner(run).run()).succeeded
    assert "job.spend() needs an amount, such as tokens=6000" == raised[0]
    assert ["calls was not reserved: name it in job.spend(…)"] == raised[6:7]
    assert {"tokens": (1, 1)} == await day(stage)


async def test_no_race_and_no_death_loses_or_invents_an_amount(stage: "Stage") -> None:
    """Four processes, two of them killed, and one zombie: no reservation passes the cap, and every amount is kept."""
    await stage.db.execute("CREATE TABLE peak (used bigint)")
    await stage.db.execute(
        "CREATE FUNCTION note_peak() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN INSERT INTO peak VALUES (NEW.used); RETURN NULL; END'"
    )
    await stage.db.execute(
        "CREATE TRIGGER peak AFTER INSERT OR UPDATE ON job_budget_day FOR EACH ROW EXECUTE FUNCTION note_peak()"
    )
    await cap(stage, 700)
    frozen, go = asyncio.Event(), asyncio.Event()

    @handler("SPENDING", payload=dict, retry=AT_ONCE)
    async def zombie(job: AnyJob) -> Outcome:
        async with job.spend(tokens=10, what="zombie") as spend:
            spend.settle(tokens=1)
            frozen.set()
            await go.wait()
        return Done()

    (first,) = await stage.add(SPENDING)
    late = asyncio.create_task(stage.runner(zombie).run())
    await frozen.wait()
    await stage.end_leases()
    await stage.add(*[SPENDING] * 250)
    processes = [await stage.process() for _ in range(4)]
    for n, process in enumerate(processes[:2], start=1):
        await stage.until("SELECT count(*) > %s FROM effect", 15 * n)
        process.kill()
    for process in processes:
        await process.wait()
    await stage.end_leases()
    go.set()
    await late
    await (await stage.process()).wait()

    assert await stage.value(CONSERVED)
    assert 690 < await stage.value("SELECT max(used) FROM peak") <= 700
    assert {"SUCCEEDED", "PENDING"} == set(await stage.states())
    waits = await stage.rows("SELECT DISTINCT left(reason, 11) AS for_want FROM background_job WHERE state = 'PENDING'")
    assert [{"for_want": "over budget"}] == waits
    assert [] == await stage.rows("SELECT error_type, error FROM job_attempt WHERE error_type IS NOT NULL")
    assert 0 < await stage.value("SELECT count(*) FROM job_spend WHERE actual IS NULL AND what = 'test'")
    assert [None] == [
        row["actual"]
        for row in await stage.rows("SELECT actual FROM job_spend WHERE job_id = %s AND what = 'zombie'", first)
    ]


def test_the_message_says_whose_day_it_is() -> None:
    """Jobs without a tenant have a budget too."""
    error = OverBudgetError(tenant="", unit="tokens", used=1, cap=1, asked=1, until=datetime(2026, 11, 24, tzinfo=UTC))
    assert "1 of 1 are used of today where jobs have no tenant; more from 2026-11-24 00:00:00 UTC" in str(error)
