"""job.commit(): the handler's own rows and the end of the job, in one transaction or not at all."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg.rows import DictRow
from sqlalchemy import NullPool, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from tests.engine.locks import until_somebody_waits
from tests.engine.pooled import engine_options

from leadjobs import Done, GiveUp, Job, LeaseLostError, NewJob, Outcome, RetryPolicy, Skip, handler
from leadjobs.errors import StoreError
from leadjobs.store.statements import statement
from leadjobs.store.url import sqlalchemy_url

if TYPE_CHECKING:
    from tests.engine.runner.conftest import Stage

AnyJob = Job[dict[str, Any]]
AT_ONCE = RetryPolicy(base=timedelta(), cap=timedelta())
INSERT = "INSERT INTO effect (what) VALUES ('written')"


@asynccontextmanager
async def caller(kind: str, stage: "Stage", **options: Any) -> AsyncIterator[Any]:
    """A session or connection of a handler, of each kind that is promised."""
    if kind == "psycopg":
        async with stage.connection() as connection:
            yield connection
        return
    of, driver = kind.split("+")
    engine = create_async_engine(
        sqlalchemy_url(stage.url, driver), **(engine_options(driver) | {"poolclass": NullPool} | options)
    )
    async with AsyncSession(engine) if of == "session" else engine.connect() as connection:
        yield connection
    await engine.dispose()


async def write(connection: Any) -> None:
    """A row of the handler's own, in its open transaction."""
    await connection.execute(INSERT if isinstance(connection, psycopg.AsyncConnection) else text(INSERT))


KINDS = ["psycopg", "session+psycopg", "session+asyncpg", "connection+psycopg", "connection+asyncpg"]


@pytest.mark.parametrize("kind", KINDS)
async def test_own_rows_and_the_end_of_the_job_commit_together(stage: "Stage", kind: str) -> None:
    """Before the commit neither is seen, after it both are."""
    seen: list[tuple[int, str]] = []

    async def look(id_: int) -> None:
        seen.append((len(await stage.effects()), (await stage.job(id_))["state"]))

    @handler("COMMITS", payload=dict)
    async def commits(job: AnyJob) -> Outcome:
        async with caller(kind, stage) as connection:
            await write(connection)
            await look(job.id)
            outcome = await job.commit(connection, Done("with its rows"))
            await look(job.id)
            return outcome

    (id_,) = await stage.add(NewJob(type="COMMITS"))

    report = await stage.runner(commits).run()

    job = await stage.job(id_)
    assert seen == [(0, "RUNNING"), (1, "SUCCEEDED")]
    assert (job["reason"], job["lease_no"], job["attempts"]) == ("with its rows", 2, 0)
    assert (report.succeeded, report.lost, report.unsettled) == (1, 0, 0)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_former_owner_commits_nothing(stage: "Stage", kind: str) -> None:
    """The late commit raises LeaseLostError and its rows are rolled back; the owner's rows and result stand."""
    started, go = asyncio.Event(), asyncio.Event()
    raised: list[BaseException] = []

    def commits(note: str) -> Any:
        @handler("COMMITS", payload=dict)
        async def run(job: AnyJob) -> Outcome:
            async with caller(kind, stage) as connection:
                await write(connection)
                if note == "late":
                    started.set()
                    await go.wait()
                try:
                    return await job.commit(connection, Done(note))
                except LeaseLostError as error:
                    raised.append(error)
                    await connection.commit()  # what a careless handler does: there is nothing left to commit
                    raise

        return run

    (id_,) = await stage.add(NewJob(type="COMMITS"))
    first = asyncio.create_task(stage.runner(commits("late")).run())
    await started.wait()
    await stage.end_leases()
    second = await stage.runner(commits("owner")).run()
    by_the_owner = await stage.job(id_)
    go.set()
    report = await first

    assert len(raised) == 1
    assert "has another owner by now" in str(raised[0])
    assert (by_the_owner["reason"], second.succeeded) == ("owner", 1)
    assert by_the_owner == await stage.job(id_)
    assert await stage.effects() == [(None, "written")]
    assert (report.lost, report.succeeded) == (1, 0)


class Stepped(psycopg.AsyncConnection[DictRow]):
    """A connection that stops between the fence and what comes after it."""

    fenced: asyncio.Event
    go: asyncio.Event


class SteppedCursor(psycopg.AsyncCursor[DictRow]):
    async def execute(self, query: Any, *args: Any, **options: Any) -> Any:
        if query == statement("settle").for_psycopg and isinstance(self.connection, Stepped):
            self.connection.fenced.set()
            await self.connection.go.wait()
        return await super().execute(query, *args, **options)


async def test_a_takeover_has_to_wait_between_the_fence_and_the_commit(stage: "Stage") -> None:
    """The fence locks: neither a rescue nor a cancellation gets in before the owner's commit, and none after it."""
    fenced, go = asyncio.Event(), asyncio.Event()

    @handler("COMMITS", payload=dict)
    async def commits(job: AnyJob) -> Outcome:
        async with await Stepped.connect(stage.url, cursor_factory=SteppedCursor) as connection:
            connection.fenced, connection.go = fenced, go
            await write(connection)
            await stage.end_leases()
            return await job.commit(connection)

    (id_,) = await stage.add(NewJob(type="COMMITS"))
    running = asyncio.create_task(stage.runner(commits).run())
    await fenced.wait()

    assert await stage.store.rescue(max_losses=2) == []
    async with stage.connection(autocommit=True) as operator:
        params = {"id": id_, "reason": "cancelled", "now": None}
        cancelling = asyncio.create_task(operator.execute(statement("cancel").for_psycopg, params))
        await until_somebody_waits(stage.db)
        go.set()
        report = await running
        assert await (await cancelling).fetchall() == []

    assert ((await stage.job(id_))["state"], report.succeeded) == ("SUCCEEDED", 1)
    assert await stage.effects() == [(None, "written")]


@pytest.mark.parametrize(
    ("outcome", "state", "reason"),
    [(Skip("nothing"), "SUCCEEDED", "skipped: nothing"), (GiveUp("no lead"), "FAILED", "gave up: no lead")],
    ids=["skip", "give up"],
)
async def test_any_outcome_can_be_committed(stage: "Stage", outcome: Outcome, state: str, reason: str) -> None:
    """What is committed with the rows need not be a success."""

    @handler("COMMITS", payload=dict)
    async def commits(job: AnyJob) -> Outcome:
        async with stage.connection() as connection:
            await write(connection)
            return await job.commit(connection, outcome)

    (id_,) = await stage.add(NewJob(type="COMMITS"))

    report = await stage.runner(commits).run()

    job = await stage.job(id_)
    assert (state, reason) == (job["state"], job["reason"])
    assert report.succeeded + report.failed == 1
    assert await stage.effects() == [(None, "written")]


@pytest.mark.parametrize("kind", ["psycopg", "connection+psycopg", "connection+asyncpg", "session+asyncpg"])
async def test_a_connection_in_autocommit_is_refused(stage: "Stage", kind: str) -> None:
    """Without a transaction there is nothing that a fence could hold: an error of that job says so."""

    @handler("COMMITS", payload=dict, retry=RetryPolicy(max_attempts=1))
    async def commits(job: AnyJob) -> Outcome:
        if kind == "psycopg":
            async with stage.connection(autocommit=True) as connection:
                return await job.commit(connection)
        async with caller(kind, stage, isolation_level="AUTOCOMMIT") as connection:
            return await job.commit(connection)

    (id_,) = await stage.add(NewJob(type="COMMITS"))

    report = await stage.runner(commits).run()

    job = await stage.job(id_)
    assert (job["state"], report.failed) == ("FAILED", 1)
    assert "autocommit" in job["reason"]


async def test_what_is_no_connection_is_refused(stage: "Stage") -> None:
    """The error names what was given."""

    @handler("COMMITS", payload=dict, retry=RetryPolicy(max_attempts=1))
    async def commits(job: AnyJob) -> Outcome:
        return await job.commit(object())

    (id_,) = await stage.add(NewJob(type="COMMITS"))

    await stage.runner(commits).run()

    job = await stage.job(id_)
    assert job["state"] == "FAILED"
    assert "job.commit() cannot use a builtins.object: give it the AsyncSession, or" in job["reason"]


async def test_a_second_commit_is_refused_and_undoes_nothing(stage: "Stage") -> None:
    """The commit is a handler's last act: the second raises, the first stands."""
    raised: list[str] = []

    @handler("COMMITS", payload=dict)
    async def commits(job: AnyJob) -> Outcome:
        async with stage.connection() as connection:
            await write(connection)
            await job.commit(connection, Done("first"))
            try:
                return await job.commit(connection, Done("second"))
            except StoreError as error:
                raised.append(str(error))
                raise

    (id_,) = await stage.add(NewJob(type="COMMITS"))

    report = await stage.runner(commits).run()

    job = await stage.job(id_)
    assert (job["state"], job["reason"], job["lease_no"], report.succeeded) == ("SUCCEEDED", "first", 2, 1)
    assert ["committed already" in each for each in raised] == [True]


async def test_an_error_after_the_commit_changes_nothing(stage: "Stage") -> None:
    """What is committed is committed: no retry, no record, no second settle."""

    @handler("COMMITS", payload=dict)
    async def commits(job: AnyJob) -> Outcome:
        async with stage.connection() as connection:
            await write(connection)
            await job.commit(connection)
        raise RuntimeError("after the fact")

    (id_,) = await stage.add(NewJob(type="COMMITS"))

    report = await stage.runner(commits).run()

    job = await stage.job(id_)
    assert (job["state"], job["attempts"], job["lease_no"], await stage.records(id_)) == ("SUCCEEDED", 0, 2, [])
    assert (report.succeeded, report.retried, report.lost) == (1, 0, 0)


async def test_a_job_whose_connection_dies_before_its_commit_is_retried(stage: "Stage") -> None:
    """Nothing of that run is written; the next one writes its rows once."""

    @handler("COMMITS", payload=dict, retry=AT_ONCE)
    async def commits(job: AnyJob) -> Outcome:
        async with stage.connection() as connection:
            await write(connection)
            if job.attempt == 1:
                mine = await (await connection.execute("SELECT pg_backend_pid() AS pid")).fetchall()
                await stage.value("SELECT pg_terminate_backend(%s)", mine[0]["pid"])
            return await job.commit(connection)

    (id_,) = await stage.add(NewJob(type="COMMITS"))

    report = await stage.runner(commits).run()

    job = await stage.job(id_)
    assert (job["state"], job["attempts"], await stage.records(id_)) == ("SUCCEEDED", 1, ["failed"])
    assert await stage.effects() == [(None, "written")]
    assert (report.retried, report.succeeded) == (1, 1)
