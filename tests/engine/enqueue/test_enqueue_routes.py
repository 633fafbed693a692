"""enqueue joins the caller's transaction, whatever connection or session the caller brings (G1)."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg.rows import DictRow
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, scoped_session, sessionmaker
from tests.engine.pooled import engine_options

from leadjobs import (
    Enqueued,
    NewJob,
    OnConflict,
    Verdict,
    enqueue,
    enqueue_many,
    enqueue_many_sync,
    enqueue_sync,
)
from leadjobs.errors import EnqueueError, SchemaBehindError
from leadjobs.store.url import sqlalchemy_url

# Whatever a driver could take for a bind, an escape or an end of a string.
AWKWARD = {"text": "50 % :now %(x)s 'quoted' \"double\" \\u0000 \N{PILE OF POO}", "none": None, "deep": [{"a": 1.5}]}

Db = psycopg.AsyncConnection[DictRow]


@dataclass(frozen=True)
class Caller:
    """Somebody's open transaction, and how they enqueue in it."""

    add: Callable[[Sequence[NewJob]], Awaitable[list[Enqueued]]]
    commit: Callable[[], Awaitable[None]]
    rollback: Callable[[], Awaitable[None]]


Route = Callable[[str], AbstractAsyncContextManager[Caller]]


def sync_caller(connection: Any) -> Caller:
    """A caller with a sync connection."""

    async def add(jobs: Sequence[NewJob]) -> list[Enqueued]:
        return enqueue_many_sync(connection, jobs)

    async def commit() -> None:
        connection.commit()

    async def rollback() -> None:
        connection.rollback()

    return Caller(add, commit, rollback)


def async_caller(connection: Any) -> Caller:
    """A caller with an async connection."""
    return Caller(lambda jobs: enqueue_many(connection, jobs), connection.commit, connection.rollback)


@asynccontextmanager
async def psycopg_sync(url: str) -> AsyncIterator[Caller]:
    with psycopg.connect(url) as connection:
        yield sync_caller(connection)


@asynccontextmanager
async def psycopg_async(url: str) -> AsyncIterator[Caller]:
    async with await psycopg.AsyncConnection.connect(url) as connection:
        yield async_caller(connection)


def sqlalchemy_sync(driver: str, make: Callable[[Any], Any]) -> Route:
    @asynccontextmanager
    async def route(url: str) -> AsyncIterator[Caller]:
        engine = create_engine(sqlalchemy_url(url, driver), **engine_options(driver))
        connection = make(engine)
        yield sync_caller(connection)
        connection.close()
        engine.dispose()

    return route


def sqlalchemy_async(driver: str, make: Callable[[Any], Any]) -> Route:
    @asynccontextmanager
    async def route(url: str) -> AsyncIterator[Caller]:
        engine = create_async_engine(sqlalchemy_url(url, driver), **engine_options(driver))
        connection = make(engine)
        if hasattr(connection, "start"):
            await connection.start()
        yield async_caller(connection)
        await connection.close()
        await engine.dispose()

    return route


def scoped(engine: Any) -> Any:
    return scoped_session(sessionmaker(engine))


def async_scoped(engine: Any) -> Any:
    return async_scoped_session(async_sessionmaker(engine), scopefunc=lambda: 1)


ROUTES: dict[str, Route] = {
    "psycopg Connection": psycopg_sync,
    "psycopg AsyncConnection": psycopg_async,
    "Session, psycopg": sqlalchemy_sync("psycopg", Session),
    "Session, psycopg2": sqlalchemy_sync("psycopg2", Session),
    "Connection, psycopg": sqlalchemy_sync("psycopg", lambda engine: engine.connect()),
    "Connection, psycopg2": sqlalchemy_sync("psycopg2", lambda engine: engine.connect()),
    "scoped_session, psycopg2": sqlalchemy_sync("psycopg2", scoped),
    "AsyncSession, psycopg": sqlalchemy_async("psycopg", AsyncSession),
    "AsyncSession, asyncpg": sqlalchemy_async("asyncpg", AsyncSession),
    "AsyncConnection, psycopg": sqlalchemy_async("psycopg", lambda engine: engine.connect()),
    "AsyncConnection, asyncpg": sqlalchemy_async("asyncpg", lambda engine: engine.connect()),
    "async_scoped_session, asyncpg": sqlalchemy_async("asyncpg", async_scoped),
}
every_route = pytest.mark.parametrize("route", ROUTES.values(), ids=ROUTES)


async def stored(db: Db) -> list[Any]:
    """The payloads that another connection sees."""
    return [
        row["payload"] for row in await (await db.execute("SELECT payload FROM background_job ORDER BY id")).fetchall()
    ]


@every_route
async def test_a_job_exists_if_and_only_if_its_transaction_commits(route: Route, url: str, db: Db) -> None:
    """Nobody sees the job before the commit; a rollback leaves nothing, and a commit leaves exactly what was asked."""
    async with route(url) as caller:
        (undone,) = await caller.add([NewJob(type="SEND", payload={"n": 1}, dedupe_key="k")])
        await caller.rollback()
        assert [] == await stored(db)

        (kept,) = await caller.add([NewJob(type="SEND", payload=AWKWARD, dedupe_key="k")])
        assert [] == await stored(db)
        await caller.commit()

    assert [AWKWARD] == await stored(db)
    assert (Verdict.INSERTED, Verdict.INSERTED) == (undone.verdict, kept.verdict)


@every_route
async def test_every_driver_gives_the_same_answers(route: Route, url: str, db: Db) -> None:
    """Verdicts, ids, times and replaced payloads do not depend on the driver."""
    at = datetime(2031, 5, 6, 7, 8, 9, 123456, tzinfo=UTC)
    jobs = [
        NewJob(type="SEND", payload={"n": 0}, delay=timedelta(hours=1)),
        NewJob(type="SEND", payload={"n": 1}, dedupe_key="a", tenant="t", run_at=at),
        NewJob(type="SEND", payload={"n": 2}, dedupe_key="a", tenant="t"),
        NewJob(type="SEND", payload={"n": 3}, dedupe_key="b"),
    ]
    replacement = NewJob(type="SEND", payload={"n": 4}, dedupe_key="b", on_conflict=OnConflict.REPLACE)
    async with route(url) as caller:
        first = await caller.add(jobs)
        second = await caller.add([*jobs[1:2], replacement])
        await caller.commit()

    ids = [answer.job_id for answer in first]
    assert ["inserted", "inserted", "ignored", "inserted"] == [answer.verdict for answer in first]
    assert [Enqueued(ids[1], Verdict.IGNORED), Enqueued(ids[3], Verdict.REPLACED)] == second
    rows = await (await db.execute("SELECT *, run_at - created_at AS wait FROM background_job")).fetchall()
    by_id = {row["id"]: row for row in rows}
    assert {ids[0]: {"n": 0}, ids[1]: {"n": 1}, ids[3]: {"n": 4}} == {id_: row["payload"] for id_, row in by_id.items()}
    assert (timedelta(hours=1), at) == (by_id[ids[0]]["wait"], by_id[ids[1]]["run_at"])


async def test_a_job_and_the_caller_s_own_rows_share_one_fate(url: str, db: Db) -> None:
    """Where the caller's own write fails, the job that was enqueued before it is gone too."""
    await db.execute("CREATE TABLE own (name text NOT NULL)")
    with psycopg.connect(url) as connection:
        enqueue_sync(connection, NewJob(type="SEND"))
        with pytest.raises(psycopg.errors.NotNullViolation):
            connection.execute("INSERT INTO own VALUES (NULL)")
        connection.commit()

    assert [] == await stored(db)


async def test_the_wrong_function_names_the_right_one(url: str) -> None:
    """A sync connection in enqueue, and an async one in enqueue_sync, is an error that names the other function."""
    job, engine, aengine = (
        NewJob(type="SEND"),
        create_engine(sqlalchemy_url(url)),
        create_async_engine("postgresql+asyncpg://"),
    )
    async with await psycopg.AsyncConnection.connect(url) as aconnection:
        with psycopg.connect(url) as connection:
            for wrong in (connection, Session(engine), scoped(engine), engine, connection.cursor(), url, None):
                with pytest.raises(EnqueueError, match=r"enqueue\(\) cannot use .* enqueue_sync\(\)"):
                    await enqueue(wrong, job)
            for wrong in (aconnection, AsyncSession(aengine), async_scoped(aengine), aengine, url, None):
                with pytest.raises(EnqueueError, match=r"enqueue_sync\(\) cannot use .* enqueue\(\)"):
                    enqueue_sync(wrong, job)
    engine.dispose()


async def test_a_database_without_tables_says_what_to_run(empty_url: str) -> None:
    """Enqueueing before the first migration tells the fix, by every route."""
    for route in ROUTES.values():
        async with route(empty_url) as caller:
            with pytest.raises(SchemaBehindError, match=r"background_job.*run `leadjobs migrate`"):
                await caller.add([NewJob(type="SEND")])
            await caller.rollback()


async def test_no_jobs_are_no_statement(db: Db) -> None:
    """Enqueueing nothing answers nothing."""
    assert [] == await enqueue_many(db, [])
