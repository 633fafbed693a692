"""One owner: what two runs of one job may do to each other, and what a slot and a cancellation mean."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from leadjobs import Done, Job, Lane, NewJob, Outcome, handler
from leadjobs.core.plan import Share, Stream
from leadjobs.store.jobs import JobStore

if TYPE_CHECKING:
    from tests.engine.runner.conftest import Stage

AnyJob = Job[dict[str, Any]]


class Frozen:
    """A handler that nothing moves until it is let go: not even its cancellation, as in a frozen process."""

    def __init__(self) -> None:
        self.started, self.released = asyncio.Event(), asyncio.Event()

    async def freeze(self) -> None:
        self.started.set()
        while not self.released.is_set():
            try:
                await self.released.wait()
            except asyncio.CancelledError:
                continue


@pytest.fixture
async def freezer() -> AsyncIterator[Callable[[], Frozen]]:
    """Makes frozen handlers, and lets them go after the test, however it ended."""
    made: list[Frozen] = []

    def freeze() -> Frozen:
        made.append(Frozen())
        return made[-1]

    yield freeze
    for frozen in made:
        frozen.released.set()


async def test_a_late_settle_counts_where_nobody_took_the_job(stage: "Stage", freezer: Callable[[], Frozen]) -> None:
    """A lease that has ended is still held until its number moves."""
    frozen = freezer()

    @handler("SLOW", payload=dict)
    async def slow(job: AnyJob) -> Outcome:
        await frozen.freeze()
        return Done("late")

    (id_,) = await stage.add(NewJob(type="SLOW"))
    running = asyncio.create_task(stage.runner(slow).run())
    await frozen.started.wait()
    await stage.end_leases()
    frozen.released.set()
    report = await running

    job = await stage.job(id_)
    assert (job["state"], job["reason"], report.succeeded, report.lost) == ("SUCCEEDED", "late", 1, 0)


async def test_a_late_settle_changes_nothing_where_somebody_took_the_job(
    stage: "Stage", freezer: Callable[[], Frozen]
) -> None:
    """A runner that lost its lease cannot overwrite the new owner's result."""
    frozen = freezer()

    @handler("SLOW", payload=dict)
    async def late(job: AnyJob) -> Outcome:
        await frozen.freeze()
        return Done("late")

    @handler("SLOW", payload=dict)
    async def owner(job: AnyJob) -> Outcome:
        return Done("by the owner")

    (id_,) = await stage.add(NewJob(type="SLOW"))
    running = asyncio.create_task(stage.runner(late).run())
    await frozen.started.wait()
    await stage.end_leases()
    second = await stage.runner(owner).run()
    by_the_owner = await stage.job(id_)
    frozen.released.set()
    first = await running

    assert (second.rescued, second.succeeded) == (1, 1)
    assert (first.lost, first.succeeded, first.unsettled) == (1, 0, 0)
    assert (by_the_owner["state"], by_the_owner["reason"]) == ("SUCCEEDED", "by the owner")
    assert by_the_owner == await stage.job(id_)
    assert await stage.records(id_) == ["lost"]


async def test_a_late_settle_does_not_end_the_run_of_the_owner(stage: "Stage", freezer: Callable[[], Frozen]) -> None:
    """While the new owner still runs, the late result of the former one is dropped."""
    former, owner = freezer(), freezer()

    def slow(frozen: Frozen, note: str) -> Any:
        @handler("SLOW", payload=dict)
        async def run(job: AnyJob) -> Outcome:
            await frozen.freeze()
            return Done(note)

        return run

    (id_,) = await stage.add(NewJob(type="SLOW"))
    first = asyncio.create_task(stage.runner(slow(former, "late")).run())
    await former.started.wait()
    await stage.end_leases()
    second = asyncio.create_task(stage.runner(slow(owner, "by the owner")).run())
    await owner.started.wait()
    former.released.set()
    assert (await first).lost == 1
    assert (await stage.job(id_))["state"] == "RUNNING"
    owner.released.set()
    await second

    assert (await stage.job(id_))["reason"] == "by the owner"


async def test_a_runner_may_own_a_job_again_while_its_former_run_goes_on(
    stage: "Stage", freezer: Callable[[], Frozen]
) -> None:
    """Cancelled and retried by an operator, a job runs anew beside its former run; each ending is its own."""
    former, owner = freezer(), freezer()

    @handler("SLOW", payload=dict)
    async def slow(job: AnyJob) -> Outcome:
        await (former if job.generation == 1 else owner).freeze()
        return Done(f"generation {job.generation}")

    (id_,) = await stage.add(NewJob(type="SLOW"))
    running = asyncio.create_task(stage.runner(slow, budget=timedelta(seconds=100)).run())
    await former.started.wait()
    await stage.cancel(id_)
    await stage.retry(id_)
    await owner.started.wait()
    former.released.set()
    owner.released.set()
    async with asyncio.timeout(10):
        report = await running

    assert (report.lost, report.succeeded, report.unsettled, report.stopped) == (1, 1, 0, "drained")
    assert (await stage.job(id_))["reason"] == "generation 2"


async def test_two_runners_at_once_run_every_job_exactly_once(stage: "Stage") -> None:
    """A thousand jobs over two runners: no effect is missing, none is doubled."""

    @handler("COUNT", payload=dict)
    async def count(job: AnyJob) -> Outcome:
        await stage.note("run", job.id)
        return Done()

    ids = await stage.add(*(NewJob(type="COUNT", tenant=f"t{n % 7}") for n in range(1000)))

    reports = await asyncio.gather(*(stage.runner(count, concurrency=50).run() for _ in range(2)))

    assert Counter(ids) == Counter(job_id for job_id, _ in await stage.effects())
    assert await stage.states() == {"SUCCEEDED": 1000}
    assert sum(report.succeeded for report in reports) == 1000
    assert all(report.succeeded > 0 for report in reports)


async def test_a_claim_steps_over_what_another_runner_is_claiming(stage: "Stage") -> None:
    """While one claim is not committed yet, another takes the next job: it neither waits nor takes the same."""

    @handler("TAKEN", payload=dict)
    async def take(job: AnyJob) -> Outcome:
        return Done()

    first, second = await stage.add(NewJob(type="TAKEN"), NewJob(type="TAKEN"))
    async with stage.connection() as another:
        stream = Stream(Lane.LIVE, "TAKEN", "")
        (claimed,) = await JobStore(another).claim([Share(stream, 1)], {}, {"TAKEN": 60.0})
        async with asyncio.timeout(5):
            report = await stage.runner(take).run()

    assert (claimed.id, claimed.lease.lease_no) == (first, 1)
    assert (report.claimed, report.succeeded) == (1, 1)
    assert [(await stage.job(id_))["state"] for id_ in (first, second)] == ["RUNNING", "SUCCEEDED"]


async def test_a_locked_row_delays_no_other_settle(stage: "Stage") -> None:
    """A caller's open transaction holds one running job's row: the others are settled, and that one once it lets go."""
    go = asyncio.Event()

    @handler("WAIT", payload=dict)
    async def wait(job: AnyJob) -> Outcome:
        await stage.note("start", job.id)
        await go.wait()
        return Done()

    ids = await stage.add(*(NewJob(type="WAIT") for _ in range(5)))
    running = asyncio.create_task(stage.runner(wait).run())
    await stage.until("SELECT count(*) = 5 FROM effect")
    async with stage.connection() as caller:
        await caller.execute("SELECT 1 FROM background_job WHERE id = %s FOR UPDATE", [ids[0]])
        go.set()
        await stage.until("SELECT count(*) = 4 FROM background_job WHERE state = 'SUCCEEDED'")
        assert (await stage.job(ids[0]))["state"] == "RUNNING"
    report = await running

    assert await stage.states() == {"SUCCEEDED": 5}
    assert (report.succeeded, report.lost) == (5, 0)


@pytest.mark.direct("waits for the last statement of a connection that is the runner's own")
async def test_a_slot_is_free_only_when_its_settle_has_committed(stage: "Stage") -> None:
    """While the end of the first job cannot be written, the one slot starts no second job."""

    @handler("ONE", payload=dict)
    async def one(job: AnyJob) -> Outcome:
        await stage.note("start", job.id)
        await go.wait()
        return Done()

    go = asyncio.Event()
    first, second = await stage.add(NewJob(type="ONE"), NewJob(type="ONE"))
    running = asyncio.create_task(stage.runner(one, concurrency=1).run())
    await stage.until("SELECT count(*) = 1 FROM effect")
    async with stage.connection() as caller:
        await caller.execute("SELECT 1 FROM background_job WHERE id = %s FOR UPDATE", [first])
        go.set()
        # The runner has tried to settle, and looked at its leases on its other connection since.
        await stage.until(
            "SELECT count(*) = 2 FROM pg_stat_activity WHERE application_name = 'leadjobs' AND pid <> pg_backend_pid()"
            " AND datname = current_database() AND query LIKE '%%IS DISTINCT FROM mine.lease_no%%'"
        )
        assert [(first, "start")] == await stage.effects()
    await running

    assert [(first, "start"), (second, "start")] == await stage.effects()


async def test_a_cancelled_job_that_waits_never_runs(stage: "Stage") -> None:
    """Cancelled while PENDING is cancelled for good."""

    @handler("NEVER", payload=dict)
    async def never(job: AnyJob) -> Outcome:
        await stage.note("start", job.id)
        return Done()

    (id_,) = await stage.add(NewJob(type="NEVER"))
    await stage.cancel(id_)

    report = await stage.runner(never).run()

    assert (await stage.effects(), report.claimed, (await stage.job(id_))["state"]) == ([], 0, "CANCELLED")


async def test_a_running_job_is_cancelled_within_about_a_second(stage: "Stage") -> None:
    """Its handler is cancelled, and whatever it says after that is dropped."""
    started, cancelled = asyncio.Event(), asyncio.Event()

    @handler("LONG", payload=dict)
    async def long(job: AnyJob) -> Outcome:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
        return Done("all the same")

    (id_,) = await stage.add(NewJob(type="LONG"))
    running = asyncio.create_task(stage.runner(long).run())
    await started.wait()
    await stage.cancel(id_)
    async with asyncio.timeout(3):
        await cancelled.wait()
    report = await running

    job = await stage.job(id_)
    assert (job["state"], job["reason"]) == ("CANCELLED", "cancel by an operator")
    assert (report.lost, report.succeeded, report.stopped) == (1, 0, "drained")
