"""One key, one job in scope, and every caller learns what became of the request (G7)."""

from collections.abc import AsyncIterator, Callable, Mapping
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from psycopg.rows import DictRow

from leadjobs import (
    DedupeScope,
    Done,
    Enqueued,
    GiveUp,
    Lane,
    NewJob,
    OnConflict,
    Outcome,
    Verdict,
    enqueue,
    enqueue_many,
)
from leadjobs.core.ending import Run
from leadjobs.core.plan import Share, Stream
from leadjobs.core.retry import RetryPolicy
from leadjobs.store.jobs import Claimed, JobStore

Db = psycopg.AsyncConnection[DictRow]

HOUR = timedelta(hours=1)


def send(n: int = 0, key: str | None = "k", **more: Any) -> NewJob:
    """A job with a number in its payload."""
    return NewJob(type="SEND", payload={"n": n}, dedupe_key=key, **more)


async def claim_one(db: Db) -> Claimed:
    """Take a lease on the only job that is due."""
    (claimed,) = await JobStore(db).claim([Share(Stream(Lane.LIVE, "SEND", ""), 1)], {}, {"SEND": 60})
    return claimed


async def end_one(db: Db, outcome: Outcome) -> None:
    """Run the only due job to this outcome."""
    claimed = await claim_one(db)
    assert {claimed.id} == await JobStore(db).settle([Run(claimed.lease, 0, RetryPolicy()).said(outcome)])


async def the_job(db: Db) -> Mapping[str, Any]:
    """The only row there is."""
    (row,) = await (await db.execute("SELECT * FROM background_job")).fetchall()
    return row


async def test_a_held_key_ignores_the_second_request_and_names_the_holder(db: Db) -> None:
    """By default the holder stands as it is, and the caller learns its id."""
    first = await enqueue(db, send(1))
    second = await enqueue(db, send(2))

    assert [Enqueued(first.job_id, Verdict.INSERTED), Enqueued(first.job_id, Verdict.IGNORED)] == [first, second]
    assert {"n": 1} == (await the_job(db))["payload"]


@pytest.mark.parametrize("outcome", [Done(), GiveUp("no")], ids=["SUCCEEDED", "FAILED"])
async def test_a_retained_key_is_held_after_the_end(outcome: Outcome, db: Db) -> None:
    """A provider that sends again hours later still meets its first delivery, whatever became of it."""
    first = await enqueue(db, send(1))
    await end_one(db, outcome)
    state = (await the_job(db))["state"]

    assert Enqueued(first.job_id, Verdict.IGNORED) == await enqueue(db, send(2))
    assert Enqueued(first.job_id, Verdict.IGNORED) == await enqueue(db, send(3, on_conflict=OnConflict.REPLACE))
    row = await the_job(db)
    assert (state, {"n": 1}, None, 1) == (row["state"], row["payload"], row["next_payload"], row["generation"])


@pytest.mark.parametrize("outcome", [Done(), GiveUp("no")], ids=["SUCCEEDED", "FAILED"])
async def test_a_live_key_is_free_after_the_end(outcome: Outcome, db: Db) -> None:
    """With scope live a new job is added once the first has ended, and not before."""
    first = await enqueue(db, send(1, scope=DedupeScope.LIVE))
    assert Enqueued(first.job_id, Verdict.IGNORED) == await enqueue(db, send(2, scope=DedupeScope.LIVE))
    await end_one(db, outcome)

    second = await enqueue(db, send(3, scope=DedupeScope.LIVE))

    assert Verdict.INSERTED is second.verdict
    assert first.job_id != second.job_id


async def test_a_key_is_unique_per_type_and_tenant(db: Db) -> None:
    """The same key of another type or another tenant is another job."""
    jobs = [NewJob(type=type_, tenant=tenant, dedupe_key="k") for type_ in ("A", "B") for tenant in ("", "t")]

    assert [Verdict.INSERTED] * 4 == [(await enqueue(db, job)).verdict for job in jobs]
    assert [Verdict.IGNORED] * 4 == [(await enqueue(db, job)).verdict for job in jobs]


async def test_replace_gives_a_waiting_job_the_new_payload_and_time(db: Db) -> None:
    """Debounce: payload, time and generation change, errors of the old payload are forgotten; one row stays."""
    first = await enqueue(db, send(1, delay=HOUR))
    await db.execute("UPDATE background_job SET attempts = 3")

    second = await enqueue(db, send(2, delay=2 * HOUR, on_conflict=OnConflict.REPLACE))

    row = await the_job(db)
    assert Enqueued(first.job_id, Verdict.REPLACED) == second
    assert ({"n": 2}, 2, 0, "PENDING") == (row["payload"], row["generation"], row["attempts"], row["state"])
    assert row["run_at"] - row["created_at"] > HOUR


async def test_replace_during_a_run_keeps_the_newest_payload_for_one_more_run(db: Db) -> None:
    """A running job is not touched, but remembers the newest of the payloads that came meanwhile."""
    first = await enqueue(db, send(1))
    claimed = await claim_one(db)

    answers = [await enqueue(db, send(n, on_conflict=OnConflict.REPLACE)) for n in (2, 3)]

    row = await the_job(db)
    assert [Enqueued(first.job_id, Verdict.MERGED)] * 2 == answers
    assert ({"n": 1}, {"n": 3}, 1) == (row["payload"], row["next_payload"], row["generation"])
    assert ("RUNNING", claimed.lease.lease_no, claimed.run_at) == (row["state"], row["lease_no"], row["run_at"])


async def test_ignore_during_a_run_leaves_no_mark(db: Db) -> None:
    """Only replace asks for another run."""
    first = await enqueue(db, send(1))
    await claim_one(db)

    assert Enqueued(first.job_id, Verdict.IGNORED) == await enqueue(db, send(2))
    assert None is (await the_job(db))["next_payload"]


async def test_a_bulk_says_of_duplicates_what_one_by_one_would_have_said(db: Db) -> None:
    """Inside one call the first of a key is added; the others are ignored, or replace it where they ask for that."""
    job = send(1, "a")
    ignored = await enqueue_many(db, [job, send(2, "a"), job])
    replaced = await enqueue_many(db, [send(n, "b", on_conflict=OnConflict.REPLACE) for n in (1, 2, 3)])

    assert ["inserted", "ignored", "ignored"] == [answer.verdict for answer in ignored]
    assert ["inserted", "replaced", "replaced"] == [answer.verdict for answer in replaced]
    assert [1, 1] == [len({answer.job_id for answer in answers}) for answers in (ignored, replaced)]
    rows = await (await db.execute("SELECT dedupe_key, payload FROM background_job ORDER BY id")).fetchall()
    assert [("a", {"n": 1}), ("b", {"n": 3})] == [(row["dedupe_key"], row["payload"]) for row in rows]


async def test_duplicates_in_a_bulk_share_the_verdict_on_a_finished_or_running_holder(db: Db) -> None:
    """Whether replaced, merged or ignored, nobody is told of a replacement that did not happen."""
    twice = [send(n, on_conflict=OnConflict.REPLACE) for n in (2, 3)]
    await enqueue(db, send(1))
    assert [Verdict.REPLACED] * 2 == [answer.verdict for answer in await enqueue_many(db, twice)]
    await claim_one(db)
    assert [Verdict.MERGED] * 2 == [answer.verdict for answer in await enqueue_many(db, twice)]
    await db.execute("UPDATE background_job SET state = 'SUCCEEDED', lease_until = NULL, next_payload = NULL")
    assert [Verdict.IGNORED] * 2 == [answer.verdict for answer in await enqueue_many(db, twice)]


async def test_a_bulk_that_ignores_and_replaces_one_key_ends_with_the_replacement(db: Db) -> None:
    """The payload that asked to replace stands, wherever in the call it was."""
    for key, order in (("a", (OnConflict.IGNORE, OnConflict.REPLACE)), ("b", (OnConflict.REPLACE, OnConflict.IGNORE))):
        answers = await enqueue_many(db, [send(int(how is OnConflict.REPLACE), key, on_conflict=how) for how in order])
        assert {Verdict.INSERTED, Verdict.REPLACED} == {answer.verdict for answer in answers}
    rows = await (await db.execute("SELECT payload FROM background_job")).fetchall()
    assert [{"n": 1}] * 2 == [row["payload"] for row in rows]


async def test_ten_thousand_mixed_jobs_are_answered_in_order(db: Db) -> None:
    """Keyless, keyed and duplicate jobs in one call: each answer is about the job at its place."""
    key: dict[int, Callable[[int], str | None]] = {
        0: lambda _: None,
        1: lambda n: f"once-{n}",
        2: lambda n: f"many-{n % 50}",
    }
    jobs = [send(n, key[n % 3](n)) for n in range(10_000)]

    answers = await enqueue_many(db, jobs)

    rows = await (await db.execute("SELECT id, payload, dedupe_key FROM background_job")).fetchall()
    by_id = {row["id"]: (row["payload"]["n"], row["dedupe_key"]) for row in rows}
    for n, (job, answer) in enumerate(zip(jobs, answers, strict=True)):
        number, dedupe_key = by_id[answer.job_id]
        assert job.dedupe_key == dedupe_key
        if n % 3 != 2:
            assert (n, Verdict.INSERTED) == (number, answer.verdict)
        else:
            assert (Verdict.INSERTED if number == n else Verdict.IGNORED) == answer.verdict
    assert 3_334 + 3_333 + 50 == len(rows)


@pytest.fixture
async def finisher(url: str) -> AsyncIterator[Db]:
    """The connection of a runner that ends a job at the worst moment."""
    async with await psycopg.AsyncConnection[DictRow].connect(url, autocommit=True) as connection:
        yield connection


async def test_a_holder_that_ends_between_the_insert_and_the_look_makes_room(url: str, db: Db, finisher: Db) -> None:
    """Where the holder is gone by the time it is looked up, the job is added after all."""
    first = await enqueue(db, send(1, scope=DedupeScope.LIVE))

    class LateLook(psycopg.AsyncCursor[Any]):
        async def execute(self, query: Any, *args: Any, **more: Any) -> Any:
            if "INSERT" not in query:
                await finisher.execute("UPDATE background_job SET state = 'SUCCEEDED'")
            return await super().execute(query, *args, **more)

    async with await psycopg.AsyncConnection.connect(url, cursor_factory=LateLook) as connection:
        second = await enqueue(connection, send(2, scope=DedupeScope.LIVE))

    assert Verdict.INSERTED is second.verdict
    assert first.job_id != second.job_id
