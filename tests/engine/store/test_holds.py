"""Why a job waits: every reason there is can be asked for."""

from datetime import timedelta
from typing import Any

import psycopg
import pytest
from psycopg.rows import DictRow

from leadjobs import Done, Job, JobId, Limit, NewJob, Outcome, Registry, enqueue, handler
from leadjobs.errors import JobNotFoundError, SettingsError, StoreError
from leadjobs.store.connection import connect
from leadjobs.store.holds import HoldDesk

Db = psycopg.AsyncConnection[DictRow]


@handler(
    "SEND",
    payload=dict,
    uses=["openai"],
    limits=[Limit(of="twilio", running=2), Limit(rate=1, per=timedelta(hours=1), each_tenant=True)],
)
async def send(job: Job[dict[str, Any]]) -> Outcome:
    return Done()


KNOWN = Registry(send)
SECONDS_AGO = "INSERT INTO runner_invocation VALUES (gen_random_uuid(), now(), now(), now(), '{}')"


async def why(url: str, job_id: int, registry: Registry | None = KNOWN) -> list[str]:
    async with connect(url) as connection:
        return await HoldDesk(connection).why(JobId(job_id), registry)


async def add(db: Db, **options: Any) -> JobId:
    return (await enqueue(db, NewJob(**{"type": "SEND", "tenant": "7"} | options))).job_id


async def test_nothing_keeps_a_job_that_is_next(url: str, db: Db) -> None:
    """A due job of a known type, with runners about, has nothing in its way."""
    await db.execute(SECONDS_AGO)
    assert ["nothing keeps it: the next claim that comes to it takes it"] == await why(url, await add(db))


async def test_all_that_keeps_a_job_is_told_at_once(url: str, db: Db) -> None:
    """A pause, a busy resource, a full limit, a spent rate, a later time, jobs before it, no runner."""
    first = await add(db, run_at=None)
    id_ = await add(db, delay=timedelta(hours=1))
    async with connect(url) as connection:
        await HoldDesk(connection).pause("SEND", tenant="7", reason="the customer asked")
        await HoldDesk(connection).pause("openai", span=timedelta(hours=2), reason="429")
    await db.execute("UPDATE job_hold SET kind = 'busy', reason = 'held: 429' WHERE name = 'openai'")
    await db.execute(
        "INSERT INTO job_limit (name, types, max_running) VALUES ('twilio', '{SEND,CALL}', 2);"
        " INSERT INTO job_limit (name, types, tenant, rate, free_at)"
        " VALUES ('SEND@7', '{SEND}', '7', 1 / 3600.0, now() + interval '1 hour')"
    )
    await db.execute(
        "INSERT INTO background_job (type, state, lease_no, lease_until)"
        " SELECT 'CALL', 'RUNNING', 1, now() + interval '1 hour' FROM generate_series(1, 2)"
    )

    reasons = await why(url, id_)

    starts = [
        "SEND@7 is paused: the customer asked",
        "openai is busy until ",
        "SEND@7 is at its rate: the next may start in 3",
        "twilio is at its limit: 2 of 2 run",
        "it is due at ",
        "1 of the same type and tenant are before it",
        "no runner has ended an invocation within the last week",
    ]
    assert len(starts) == len(reasons)
    assert all(reason.startswith(start) for reason, start in zip(reasons, starts, strict=True)), reasons
    assert reasons[1].endswith(" UTC: 429")
    assert "1 of the same type" not in " ".join(await why(url, first))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("type = 'OTHER'", "this app has no handler for OTHER"),
        ("lane = 'alone'", "its process died once, so it runs alone"),
        ("state = 'RUNNING', lease_until = now() + interval '1 minute', started_at = now()", "it runs since "),
        ("state = 'RUNNING', lease_until = now() - interval '1 minute'", "its process died or went silent"),
        ("state = 'FAILED', reason = 'gave up: no', finished_at = now()", "it has ended FAILED at "),
    ],
)
async def test_where_it_is_otherwise_is_told_too(url: str, db: Db, change: str, reason: str) -> None:
    """Unknown types, lost jobs, running and ended ones."""
    id_ = await add(db)
    await db.execute(f"UPDATE background_job SET {change}")
    assert (await why(url, id_))[0].startswith(reason)


async def test_without_the_app_the_database_s_reasons_are_told(url: str, db: Db) -> None:
    """What a type uses only its app knows; a pause of the type itself everybody does."""
    id_ = await add(db)
    async with connect(url) as connection:
        desk = HoldDesk(connection)
        await desk.pause("openai", reason="429")
        assert not any("openai" in reason for reason in await desk.why(id_))
        await desk.pause("*", reason="maintenance")
        assert "* is paused: maintenance" == (await desk.why(id_))[0]


async def test_a_pause_is_put_looked_at_and_let_go_of(url: str, db: Db) -> None:
    """One that is over is not listed; what is not held cannot be let go of; a name is taken as lists show it."""
    async with connect(url) as connection:
        desk = HoldDesk(connection)
        await desk.pause("SEND", tenant="7", reason="first")
        (line,) = await desk.holds()
        assert ("SEND@7", "paused", "first", None) == (line.name, line.kind, line.reason, line.until)
        await desk.release("SEND@7")
        with pytest.raises(StoreError, match="nothing is held by the name SEND@7"):
            await desk.release("SEND", tenant="7")
        await desk.pause("SEND", reason="over", span=timedelta())
        assert [] == await desk.holds()
        with pytest.raises(SettingsError, match="resource 'a b'"):
            await desk.pause("a b", reason="no")
        with pytest.raises(JobNotFoundError):
            await desk.why(JobId(404))


async def test_of_two_holds_the_longer_stands_whoever_puts_them(url: str, db: Db) -> None:
    """A pause of an hour ends no endless one; a longer one takes the place of a shorter, and of one that is over."""
    async with connect(url) as connection:
        desk = HoldDesk(connection)
        spans = (timedelta(), timedelta(minutes=1), timedelta(hours=1), None, timedelta(hours=2), None)
        stood = [(await desk.pause("SEND", reason=str(n), span=span)).reason for n, span in enumerate(spans)]
        assert ["0", "1", "2", "3", "3", "3"] == stood
        assert ["3"] == [line.reason for line in await desk.holds()]
        await desk.release("SEND")
        assert "less" == (await desk.pause("SEND", reason="less", span=timedelta(hours=1))).reason
