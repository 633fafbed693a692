"""The runner and its database: connections that die, pass through a pooler, and are closed at the end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from leadjobs import Done, Job, NewJob, Outcome, handler
from leadjobs.store.connection import OwnConnection, connect

if TYPE_CHECKING:
    from tests.engine.runner.conftest import Stage

AnyJob = Job[dict[str, Any]]
OURS = (
    "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'leadjobs' AND datname = current_database()"
    " AND pid <> pg_backend_pid()"
)
SETTLE, LOOK = "%ending AS MATERIALIZED%", "%RECURSIVE head%"


@pytest.mark.direct("counts the runner's connections at the server")
async def test_an_invocation_has_two_connections_at_most_and_closes_them(stage: "Stage") -> None:
    """However many handlers run; none is left behind."""
    counts: list[int] = []

    @handler("COUNT", payload=dict)
    async def count(job: AnyJob) -> Outcome:
        counts.append(await stage.value(OURS))
        return Done()

    await stage.add(*(NewJob(type="COUNT") for _ in range(100)))

    await stage.runner(count, concurrency=20).run()

    assert (len(counts), max(counts)) == (100, 2)
    await stage.until(f"SELECT ({OURS}) = 0")


async def test_nothing_is_prepared_on_a_connection(stage: "Stage", monkeypatch: pytest.MonkeyPatch) -> None:
    """A pooler gives the server's side to somebody else after each statement, so nothing may be left there."""
    prepared: list[int] = []

    @asynccontextmanager
    async def watched(url: str, **options: Any) -> AsyncIterator[OwnConnection]:
        async with connect(url, **options) as connection:
            yield connection
            row = await (await connection.execute("SELECT count(*) FROM pg_prepared_statements")).fetchone()
            prepared.append((row or {})["count"])

    monkeypatch.setattr("leadjobs.runner.connect", watched)
    monkeypatch.setattr("leadjobs.settler.connect", watched)

    @handler("MANY", payload=dict)
    async def many(job: AnyJob) -> Outcome:
        return Done()

    await stage.add(*(NewJob(type="MANY") for _ in range(40)))

    report = await stage.runner(many, concurrency=1).run()

    assert report.succeeded == 40
    assert prepared == [0, 0]


@pytest.mark.direct("ends a connection that is the runner's own")
async def test_the_settling_connection_may_die(stage: "Stage") -> None:
    """What was to be settled is settled on another one; nothing is doubled."""
    go = asyncio.Event()

    @handler("FIRST", payload=dict)
    async def first(job: AnyJob) -> Outcome:
        return Done()

    @handler("WAIT", payload=dict)
    async def wait(job: AnyJob) -> Outcome:
        await stage.note("start", job.id)
        await go.wait()
        return Done()

    await stage.add(NewJob(type="FIRST"), *(NewJob(type="WAIT") for _ in range(3)))
    running = asyncio.create_task(stage.runner(first, wait).run())
    await stage.until("SELECT count(*) = 1 FROM background_job WHERE state = 'SUCCEEDED'")
    await stage.until("SELECT count(*) = 3 FROM effect")
    assert await stage.kill_backends(SETTLE) == 1
    go.set()
    report = await running

    assert await stage.states() == {"SUCCEEDED": 4}
    assert (report.succeeded, report.unsettled, report.stopped) == (4, 0, "drained")
    assert len(await stage.effects()) == 3


@pytest.mark.direct("ends a connection that is the runner's own")
async def test_the_claiming_connection_may_die(stage: "Stage") -> None:
    """The invocation ends and says why; what ran is handed back, and the next invocation ends it."""
    go = asyncio.Event()

    @handler("WAIT", payload=dict)
    async def wait(job: AnyJob) -> Outcome:
        await stage.note("start", job.id)
        await go.wait()
        return Done()

    (id_,) = await stage.add(NewJob(type="WAIT"))
    running = asyncio.create_task(stage.runner(wait).run())
    await stage.until("SELECT count(*) = 1 FROM effect")
    await stage.until(f"SELECT ({OURS} AND query LIKE '%%RECURSIVE head%%') = 1")
    assert await stage.kill_backends(LOOK) == 1
    async with asyncio.timeout(10):
        report = await running

    job = await stage.job(id_)
    assert (report.stopped, report.handed_back, report.is_healthy) == ("database", 1, False)
    assert (job["state"], job["attempts"]) == ("PENDING", 0)
    go.set()
    assert (await stage.runner(wait).run()).succeeded == 1


@pytest.mark.direct("ends all connections of a database, which a pooler makes anew")
async def test_a_database_that_is_away_costs_no_job(stage: "Stage") -> None:
    """Nothing gets in while handlers end: run() answers all the same, and the jobs run again after their leases."""
    started, go = asyncio.Event(), asyncio.Event()

    @handler("WAIT", payload=dict, timeout=1)
    async def wait(job: AnyJob) -> Outcome:
        started.set()
        await go.wait()
        return Done()

    (id_,) = await stage.add(NewJob(type="WAIT"))
    runner = stage.runner(wait, budget=timedelta(seconds=3), reserve=timedelta(seconds=2))
    running = asyncio.create_task(runner.run())
    await started.wait()
    name = (await stage.value("SELECT current_database()")).replace('"', "")
    async with await psycopg.AsyncConnection.connect(
        stage.url.replace(f"/{name}", "/template1"), autocommit=True
    ) as elsewhere:
        await elsewhere.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false'.encode())
        await stage.kill_backends("%")
        go.set()
        async with asyncio.timeout(5):
            report = await running
        await elsewhere.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true'.encode())

    assert (report.stopped, report.unsettled) == ("database", 1)
    assert (await stage.job(id_))["state"] == "RUNNING"
    await stage.end_leases()
    assert ((report := await runner.run()).rescued, report.succeeded) == (1, 1)
