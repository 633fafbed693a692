"""Racing enqueues: one job per key, an answer for everybody, and no deadlock (G7)."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

import psycopg
import pytest
from psycopg.rows import DictRow

from leadjobs import Enqueued, JobId, NewJob, OnConflict, Verdict, enqueue, enqueue_many
from leadjobs.errors import EnqueueError

Db = psycopg.AsyncConnection[DictRow]
Open = Callable[[], Awaitable[Db]]
UntilBlocked = Callable[..., Awaitable[None]]

CALLERS, ROUNDS = 12, 200


def send(key: str, on_conflict: OnConflict = OnConflict.IGNORE) -> NewJob:
    return NewJob(type="SEND", dedupe_key=key, on_conflict=on_conflict)


@pytest.mark.parametrize("on_conflict", OnConflict)
async def test_racing_callers_of_one_key_get_one_job_and_an_answer_each(
    on_conflict: OnConflict, open_connection: Open, db: Db
) -> None:
    """Twelve callers, a hundred rounds for each way: one is told inserted, all are told the same job."""
    connections = [await open_connection() for _ in range(CALLERS)]

    async def call(connection: Db, key: str) -> Enqueued:
        answer = await enqueue(connection, send(key, on_conflict))
        await connection.commit()
        return answer

    expected = {Verdict.INSERTED: 1}
    expected[Verdict.IGNORED if on_conflict is OnConflict.IGNORE else Verdict.REPLACED] = CALLERS - 1
    ids: list[JobId] = []
    for round_ in range(ROUNDS // 2):
        answers = await asyncio.gather(*(call(connection, f"key-{round_}") for connection in connections))
        assert expected == Counter(answer.verdict for answer in answers)
        (id_,) = {answer.job_id for answer in answers}
        ids.append(id_)

    assert sorted(ids) == [
        row["id"] for row in await (await db.execute("SELECT id FROM background_job ORDER BY id")).fetchall()
    ]


@pytest.mark.parametrize("on_conflict", OnConflict)
async def test_a_waiting_caller_inserts_when_the_winner_rolls_back(
    on_conflict: OnConflict, open_connection: Open, until_blocked: UntilBlocked
) -> None:
    """Who waits for a racing enqueue that is undone in the end gets the job."""
    winner, waiter = await open_connection(), await open_connection()
    undone = await enqueue(winner, send("k"))
    waiting = asyncio.create_task(enqueue(waiter, send("k", on_conflict)))
    await until_blocked(waiter)
    await winner.rollback()

    answer = await waiting

    assert Verdict.INSERTED is answer.verdict
    assert undone.job_id != answer.job_id


@pytest.mark.parametrize(
    ("on_conflict", "verdict"), [(OnConflict.IGNORE, Verdict.IGNORED), (OnConflict.REPLACE, Verdict.REPLACED)]
)
async def test_a_waiting_caller_learns_of_the_winner_that_commits(
    on_conflict: OnConflict, verdict: Verdict, open_connection: Open, until_blocked: UntilBlocked
) -> None:
    """Who waits for a racing enqueue that commits is told its job."""
    winner, waiter = await open_connection(), await open_connection()
    won = await enqueue(winner, send("k"))
    waiting = asyncio.create_task(enqueue(waiter, send("k", on_conflict)))
    await until_blocked(waiter)
    await winner.commit()

    assert Enqueued(won.job_id, verdict) == await waiting


@pytest.mark.parametrize("on_conflict", OnConflict)
async def test_bulks_of_the_same_keys_in_opposite_order_do_not_deadlock(
    on_conflict: OnConflict, open_connection: Open, until_blocked: UntilBlocked
) -> None:
    """Keys are locked in one order: with one in the middle held up, unsorted calls would wait for each other."""
    first, second, holder = await open_connection(), await open_connection(), await open_connection()
    jobs = [send(f"k{n}", on_conflict) for n in range(9)]
    await enqueue(holder, jobs[4])
    one = asyncio.create_task(enqueue_many(first, jobs))
    await until_blocked(first)
    other = asyncio.create_task(enqueue_many(second, jobs[::-1]))
    await until_blocked(first, second)
    await holder.rollback()

    answers = await one
    await first.commit()

    assert [Verdict.INSERTED] * 9 == [answer.verdict for answer in answers]
    assert [answer.job_id for answer in answers][::-1] == [answer.job_id for answer in await other]


async def test_bulks_that_ignore_and_replace_each_others_keys_do_not_deadlock(
    open_connection: Open, until_blocked: UntilBlocked
) -> None:
    """One order of keys for both: else each would hold the key that it ignores, and wait to replace the other's."""
    first, second, holder = await open_connection(), await open_connection(), await open_connection()
    ignore, replace = OnConflict.IGNORE, OnConflict.REPLACE
    await enqueue(holder, send("k3"))
    one = asyncio.create_task(enqueue_many(first, [send("k2", ignore), send("k3", ignore), send("k0", replace)]))
    await until_blocked(first)
    other = asyncio.create_task(enqueue_many(second, [send("k0", ignore), send("k3", ignore), send("k2", replace)]))
    await until_blocked(first, second)
    await holder.rollback()

    answers = await one
    await first.commit()

    assert [Verdict.INSERTED] * 3 == [answer.verdict for answer in answers]
    assert [Verdict.IGNORED, Verdict.IGNORED, Verdict.REPLACED] == [answer.verdict for answer in await other]


@pytest.mark.parametrize("on_conflict", OnConflict)
@pytest.mark.parametrize("level", [psycopg.IsolationLevel.REPEATABLE_READ, psycopg.IsolationLevel.SERIALIZABLE])
async def test_a_stricter_isolation_level_is_refused_clearly(
    level: psycopg.IsolationLevel, on_conflict: OnConflict, open_connection: Open, db: Db
) -> None:
    """Under a level that hides racing holders a key is refused, held or not, and nothing is written."""
    await enqueue(db, send("held"))
    strict = await open_connection()
    await strict.set_isolation_level(level)
    for key in ("held", "free", "taken meanwhile"):
        await strict.execute("SELECT 1 FROM background_job")  # the transaction sees what there was now
        if key == "taken meanwhile":
            await enqueue(db, send(key))
        with pytest.raises(EnqueueError, match=f"SEND/{key}.*READ COMMITTED"):
            await enqueue(strict, send(key, on_conflict))
        await strict.commit()

    rows = await (await db.execute("SELECT dedupe_key, generation FROM background_job ORDER BY id")).fetchall()
    assert [("held", 1), ("taken meanwhile", 1)] == [(row["dedupe_key"], row["generation"]) for row in rows]


async def test_a_job_without_a_key_needs_no_isolation_level(open_connection: Open) -> None:
    """Nothing races for a job that has no key, so any transaction may add it."""
    strict = await open_connection()
    await strict.set_isolation_level(psycopg.IsolationLevel.SERIALIZABLE)

    assert Verdict.INSERTED is (await enqueue(strict, NewJob(type="SEND"))).verdict
