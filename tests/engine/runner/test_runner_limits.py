"""Limits (G8): how many run at once and how many start within a span, over all runners, at any interleaving."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from tests.engine.history import History

from leadjobs import Done, GiveUp, Handler, Job, Limit, NewJob, Outcome, Registry, Runner, handler
from leadjobs.core.clock import SystemClock
from leadjobs.core.job import JobType
from leadjobs.core.limit import NamedLimit
from leadjobs.core.registry import Handler as AHandler
from leadjobs.errors import SettingsError
from leadjobs.store.limits import LimitStore
from leadjobs.testing.clock import FakeClock

if TYPE_CHECKING:
    from tests.engine.runner.conftest import Stage

AnyJob = Job[dict[str, Any]]
SECOND = timedelta(seconds=1)


def working(name: str, *limits: Limit, seconds: float = 0.005) -> Handler[Any]:
    """A handler that takes a moment."""

    async def work(job: AnyJob) -> Outcome:
        await asyncio.sleep(seconds)
        return Done()

    return AHandler(JobType(name=name, payload=dict, limits=limits), work)


async def run_side_by_side(stage: "Stage", handlers: list[Handler[Any]], runners: int = 4) -> int:
    """Drain with several runners at once, until nothing is left; how many jobs ended well."""
    done = 0
    while await stage.value("SELECT count(*) FROM background_job WHERE state = 'PENDING'"):
        reports = await asyncio.gather(*(stage.runner(*handlers, concurrency=8).run() for _ in range(runners)))
        done += sum(report.succeeded for report in reports)
    return done


async def test_no_more_run_at_once_than_a_type_may(stage: "Stage", db: psycopg.AsyncConnection[Any]) -> None:
    """Four runners with eight slots each, and three may run: three do, never a fourth, and every job once."""
    history = History(db)
    await history.install()
    await stage.add(
        *(NewJob(type="SEND", tenant=f"t{n % 5}") for n in range(60)), *(NewJob(type="FREE") for _ in range(40))
    )

    assert await run_side_by_side(stage, [working("SEND", Limit(running=3)), working("FREE")]) == 100

    assert (await history.most_running("SEND"))[""] == 3
    assert [] == await history.violations()


async def test_a_limit_holds_beside_streams_that_have_none(
    stage: "Stage", db: psycopg.AsyncConnection[Any], in_order: None
) -> None:
    """One tenant has more types without a limit than there are slots, and the other's turn comes between them."""
    history = History(db)
    await history.install()
    free = [f"FREE_{n}" for n in range(4)]
    await stage.add(*(NewJob(type=name, tenant="a") for name in free for _ in range(10)))
    await stage.add(*(NewJob(type="SEND", tenant="b") for _ in range(20)))

    handlers = [working("SEND", Limit(running=1), seconds=0.05), *(working(name) for name in free)]
    report = await stage.runner(*handlers, concurrency=4).run()

    assert report.succeeded == 60
    assert (await history.most_running("SEND"))[""] == 1


async def test_nobody_counts_while_another_claims(stage: "Stage") -> None:
    """The row of a limit is locked from the count to the commit of the claim."""
    limit = NamedLimit("ONE", Limit(running=1), ("ONE",), None)
    async with stage.connection(autocommit=True) as other:
        async with LimitStore(stage.db, SystemClock()).locked([limit]):
            with pytest.raises(psycopg.errors.LockNotAvailable):
                await other.execute("SELECT FROM job_limit FOR NO KEY UPDATE NOWAIT")
        await other.execute("SELECT FROM job_limit FOR NO KEY UPDATE NOWAIT")


async def test_types_share_the_limit_of_a_resource(stage: "Stage", db: psycopg.AsyncConnection[Any]) -> None:
    """Also where each runner knows one of the types only: the limit's row knows them all."""
    history = History(db)
    await history.install()
    twilio = Limit(of="twilio", running=2)
    await stage.add(*(NewJob(type=type_) for _ in range(20) for type_ in ("SMS", "CALL")))
    await stage.add(NewJob(type="SMS"), NewJob(type="CALL"))
    await asyncio.gather(
        *(stage.runner(working(type_, twilio)).run() for type_ in ("SMS", "CALL"))
    )  # both are known now

    while await stage.value("SELECT count(*) FROM background_job WHERE state = 'PENDING'"):
        each = [stage.runner(working(type_, twilio), concurrency=4).run() for type_ in ("SMS", "CALL") for _ in "ab"]
        await asyncio.gather(*each)

    assert (await history.most_running("SMS", "CALL"))[""] == 2


async def test_a_limit_counts_all_types_that_any_runner_has_said_share_it(stage: "Stage") -> None:
    """A runner that knows only one of them counts the others too."""
    twilio = Limit(of="twilio", running=2)
    for type_ in ("SMS", "CALL", "SMS"):
        await stage.add(NewJob(type=type_))
        await stage.runner(working(type_, twilio)).run()
    await stage.db.execute(
        "INSERT INTO background_job (type, state, lease_no, lease_until)"
        " SELECT 'CALL', 'RUNNING', 1, now() + interval '1 hour' FROM generate_series(1, 2)"
    )
    await stage.add(NewJob(type="SMS"))

    assert 0 == (await stage.runner(working("SMS", twilio)).run()).claimed
    assert ["CALL", "SMS"] == await stage.value("SELECT types FROM job_limit")


async def test_another_tenant_s_jobs_do_not_count(stage: "Stage") -> None:
    """Where each tenant has the limit for itself, one that is at its limit holds up no other."""
    await stage.db.execute(
        "INSERT INTO background_job (type, tenant, state, lease_no, lease_until)"
        " VALUES ('SEND', 'busy', 'RUNNING', 1, now() + interval '1 hour')"
    )
    await stage.add(*(NewJob(type="SEND", tenant=tenant) for tenant in ("busy", "free")))

    await stage.runner(working("SEND", Limit(running=1, each_tenant=True))).run()

    assert "free" == await stage.value("SELECT tenant FROM background_job WHERE state = 'SUCCEEDED'")


async def test_each_tenant_has_a_limit_for_itself(stage: "Stage", db: psycopg.AsyncConnection[Any]) -> None:
    """One a tenant, several in all; and nobody waits for another's."""
    history = History(db)
    await history.install()
    await stage.add(*(NewJob(type="SEND", tenant=f"t{n % 4}") for n in range(40)))

    await run_side_by_side(stage, [working("SEND", Limit(running=1, each_tenant=True))], runners=3)

    most = await history.most_running("SEND")
    assert {"t0": 1, "t1": 1, "t2": 1, "t3": 1} == {tenant: count for tenant, count in most.items() if tenant}
    assert most[""] > 1


async def test_a_place_is_free_however_a_run_ended(stage: "Stage") -> None:
    """Failed, committed by the handler, cancelled, lost with its process: nothing has to give a place back."""

    @handler("SEND", payload=dict, limits=[Limit(running=1)])
    async def send(job: AnyJob) -> Outcome:
        match job.payload["how"]:
            case "give up":
                return GiveUp("no")
            case "commit":
                async with stage.connection() as connection:
                    return await job.commit(connection, Done())
            case "cancel":
                await stage.cancel(job.id)
                await asyncio.sleep(60)
        return Done()

    lost, *_ = await stage.add(
        *(NewJob(type="SEND", payload={"how": how}) for how in ("lose", "give up", "commit", "cancel", ""))
    )
    await stage.db.execute(
        "UPDATE background_job SET state = 'RUNNING', lease_no = 1, lease_until = now() WHERE id = %s", [lost]
    )

    await stage.runner(send).run()

    assert {"SUCCEEDED": 3, "FAILED": 1, "CANCELLED": 1} == await stage.states()


async def test_a_full_limit_holds_up_nobody_else(stage: "Stage") -> None:
    """Fifty thousand jobs of a type that may not run lie at the head; what is behind them is served at once."""
    await stage.db.execute(
        "INSERT INTO background_job (type, run_at)"
        " SELECT 'FULL', now() - interval '1 day' FROM generate_series(1, 50000)"
    )
    await stage.db.execute(
        "INSERT INTO background_job (type, state, lease_no, lease_until)"
        " VALUES ('FULL', 'RUNNING', 1, now() + interval '1 hour')"
    )
    await stage.add(*(NewJob(type="FREE") for _ in range(20)))

    report = await stage.runner(working("FULL", Limit(running=1)), working("FREE")).run()

    assert (20, 20, "drained") == (report.claimed, report.succeeded, report.stopped)


async def test_those_who_wait_for_a_limit_are_served_in_turn(stage: "Stage") -> None:
    """A full limit takes nobody's turn: with two places, five tenants get the same."""
    served: list[str] = []

    @handler("SEND", payload=dict, limits=[Limit(running=2)])
    async def send(job: AnyJob) -> Outcome:
        served.append(job.tenant)
        if len(served) == 50:
            runner.stop()
        return Done()

    await stage.add(*(NewJob(type="SEND", tenant=tenant) for tenant in "abcde" for _ in range(40)))
    runner = stage.runner(send, concurrency=8)
    await runner.run()

    counts = [served[:50].count(tenant) for tenant in "abcde"]
    assert max(counts) - min(counts) <= 2


async def test_no_more_start_within_a_span_than_a_rate_allows(stage: "Stage", db: psycopg.AsyncConnection[Any]) -> None:
    """Three runners, twenty starts in half a second at most; all are done nonetheless, by runners that wait for it."""
    history = History(db)
    await history.install()
    await stage.add(*(NewJob(type="SEND") for _ in range(50)))
    limit = Limit(rate=20, per=timedelta(seconds=0.5))

    await run_side_by_side(stage, [working("SEND", limit)], runners=3)

    assert await history.most_started(0.5, "SEND") <= 20
    assert {"SUCCEEDED": 50} == await stage.states()


async def test_a_rate_is_by_the_database_s_clock_and_saves_nothing_up(stage: "Stage") -> None:
    """After an hour of nothing no more may start at once than the burst: a tenth of the rate."""
    clock = FakeClock(datetime.now(UTC) + timedelta(minutes=1))
    await stage.add(*(NewJob(type="SEND") for _ in range(30)))
    runner = stage.runner(working("SEND", Limit(rate=50, per=timedelta(hours=1))), clock=clock)

    counts = []
    for pause in (timedelta(), timedelta(minutes=1), timedelta(minutes=1), timedelta(hours=1)):
        clock.advance(pause)
        counts.append((await runner.run()).succeeded)

    assert [5, 0, 1, 5] == counts  # one in 78 seconds, five at once at most


async def test_the_wait_for_a_limit_is_no_head_start(stage: "Stage") -> None:
    """Who waited for the lock starts after the wait, and the rate counts it from there: not both in one moment."""
    await stage.add(NewJob(type="SEND"))
    runner = stage.runner(working("SEND", Limit(rate=1, per=timedelta(seconds=2))))
    running = asyncio.create_task(runner.run_until_stopped())
    await stage.until("SELECT true FROM background_job WHERE state = 'SUCCEEDED'")

    async with stage.connection() as other:
        await other.execute("UPDATE job_limit SET free_at = '-infinity'")
        (id_,) = await stage.add(NewJob(type="SEND"))
        await stage.until(
            "SELECT true FROM pg_stat_activity WHERE datname = current_database() AND pg_blocking_pids(pid) <> '{}'"
        )
        freed = await stage.value("SELECT clock_timestamp()")
    await stage.until("SELECT true FROM background_job WHERE id = %s AND state = 'SUCCEEDED'", id_)
    runner.stop()
    await running

    assert freed <= (await stage.job(id_))["started_at"]
    assert freed <= await stage.value("SELECT free_at - interval '2 seconds' FROM job_limit")


async def test_a_limit_that_somebody_has_locked_is_as_good_as_full(stage: "Stage") -> None:
    """A frozen process in the middle of its claim: the others go on, and their invocation ends in time."""
    await stage.add(NewJob(type="SEND"))
    await stage.runner(working("SEND", Limit(running=1))).run()
    await stage.add(NewJob(type="SEND"), NewJob(type="FREE"))

    async with stage.connection() as frozen:
        await frozen.execute("SELECT * FROM job_limit FOR NO KEY UPDATE")
        report = await stage.runner(working("SEND", Limit(running=1)), working("FREE")).run()
        assert report.is_healthy
        assert "PENDING" == await stage.value("SELECT state FROM background_job WHERE type = 'SEND' ORDER BY id DESC")

    await stage.runner(working("SEND", Limit(running=1)), working("FREE")).run()
    assert {"SUCCEEDED": 3} == await stage.states()


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (Limit, "needs running=… or rate=…"),
        (lambda: Limit(running=0), "running of a Limit is 0"),
        (lambda: Limit(rate=-1), "rate of a Limit is -1"),
        (lambda: Limit(rate=1, per=timedelta()), "per of a Limit is 0:00:00"),
        (lambda: Limit(rate=1, of="a resource"), "resource 'a resource'"),
        (lambda: Registry(working("A", Limit(running=1), Limit(rate=2))), "two limits on A differ"),
        (
            lambda: Registry(working("A", Limit(of="x", running=1)), working("B", Limit(of="x", running=2))),
            "two limits on x differ, in B and A",
        ),
    ],
)
def test_what_cannot_be_kept_is_refused_at_the_start(make: Any, problem: str) -> None:
    """The message names the field and the fix."""
    with pytest.raises(SettingsError, match=problem):
        make()


def test_a_runner_is_made_with_limits_of_all_kinds() -> None:
    """A type may have its own limit and one for each tenant, and share others."""
    mine, theirs, shared = Limit(running=5), Limit(rate=5, each_tenant=True), Limit(of="twilio", running=9)
    registry = Registry(working("A", mine, theirs, shared), working("B", shared))
    assert ["A", "A@7", "twilio"] == [limit.name for limit in registry.limits_on("A", "7")]
    assert ("A", "B") == registry.limits_on("B", "7")[0].types
    assert Runner("postgresql://nowhere/x", registry).registry.has_limits
