"""Retention: what is deleted and what is not, by windows of bounded size that come round again."""

import asyncio
from datetime import timedelta
from typing import Any, LiteralString

import psycopg
import pytest
from psycopg.rows import DictRow
from tests.engine.store.plans import Recorder, plan_of

from leadjobs import JobId, Retention, enqueue
from leadjobs.core.job import NewJob, Verdict
from leadjobs.errors import SettingsError
from leadjobs.store.connection import connect
from leadjobs.store.desk import Desk
from leadjobs.store.pruning import Pruner, Window

Other = psycopg.AsyncConnection[DictRow]
Shelf = Any  # of conftest.py; its clock stands at noon

DAY = timedelta(days=1)
KEPT = Retention(succeeded=10 * DAY, cancelled=20 * DAY, failed=30 * DAY)

# A hundred thousand rows: what is never pruned stands at the head, in between, and at the end.
FILL = """
INSERT INTO background_job (type, state, dedupe_key, created_at, finished_at)
SELECT CASE WHEN n <= 40000 OR n > 90000 THEN 'WAITS' ELSE 'ENDED' END,
       CASE WHEN n <= 40000 OR n > 90000 THEN 'PENDING' WHEN n % 2 = 0 THEN 'FAILED' ELSE 'SUCCEEDED' END,
       'k' || n,
       now() - interval '60 days',
       CASE WHEN n BETWEEN 40001 AND 90000 THEN now() - interval '20 days' END
  FROM generate_series(1, 100000) AS n
"""
PRUNABLE = 25_000  # the SUCCEEDED ones


async def ended(shelf: Shelf, state: str, days_ago: float, **more: Any) -> JobId:
    """A job that ended so many days ago, and was added a day before."""
    job_id: JobId = await shelf.add(**more)
    end = shelf.clock.database_now() - days_ago * DAY
    await shelf.db.execute(
        "UPDATE background_job SET state = %s, finished_at = %s, created_at = %s WHERE id = %s",
        [state, end, end - DAY, job_id],
    )
    return job_id


async def left(shelf: Shelf) -> list[int]:
    """The ids of the jobs that are left."""
    return [row["id"] for row in await shelf.rows("SELECT id FROM background_job ORDER BY id")]


def prune(shelf: Shelf, *, most: int = 5000) -> Any:
    """What one invocation does."""
    return Pruner(shelf.db, KEPT, shelf.clock).prune_some(seconds=60, most=most)


async def test_each_state_is_kept_for_its_span(shelf: Shelf) -> None:
    """What ended before its span is deleted; what has not ended never is."""
    gone = [await ended(shelf, state, days) for state, days in [("SUCCEEDED", 11), ("CANCELLED", 21), ("FAILED", 31)]]
    kept = [await ended(shelf, state, days) for state, days in [("SUCCEEDED", 9), ("CANCELLED", 19), ("FAILED", 29)]]
    kept.append(await shelf.add(run_at=shelf.clock.database_now() - 900 * DAY))
    await shelf.db.execute("UPDATE background_job SET created_at = '2000-01-01' WHERE id = %s", [kept[-1]])
    assert (3, kept) == (await prune(shelf), await left(shelf))
    assert not set(gone) & set(kept)


async def test_none_keeps_for_ever(shelf: Shelf) -> None:
    """One state, or all of them."""
    one = await ended(shelf, "FAILED", 9000)
    await ended(shelf, "SUCCEEDED", 9000)
    assert 1 == await Pruner(shelf.db, Retention(failed=None), shelf.clock).prune_some(seconds=60)
    nothing = Retention(succeeded=None, cancelled=None, failed=None)
    assert 0 == await Pruner(shelf.db, nothing, shelf.clock).prune_some(seconds=60)
    assert [] == [window async for window in Pruner(shelf.db, nothing, shelf.clock).prune_all(is_dry=False)]
    assert [one] == await left(shelf)
    with pytest.raises(SettingsError, match="retention of FAILED jobs is -1 day"):
        Retention(failed=-DAY)


async def test_what_is_kept_of_a_job_goes_with_it_and_its_key_is_free(shelf: Shelf) -> None:
    """Its attempts and steps; the same request is a new job then."""
    job_id = await ended(shelf, "FAILED", 31, dedupe_key="k")
    await shelf.db.execute(
        "INSERT INTO job_attempt (job_id, generation, lease_no, ended_as) VALUES (1, 1, 1, 'failed')"
    )
    await shelf.db.execute(
        "INSERT INTO job_step (job_id, generation, name, result, lease_no) VALUES (1, 1, 'a', '1', 1)"
    )
    assert (1, 1) == (job_id, await prune(shelf))
    assert [] == await shelf.rows("SELECT job_id FROM job_attempt UNION ALL SELECT job_id FROM job_step")
    assert Verdict.INSERTED is (await enqueue(shelf.db, NewJob(type="SEND", dedupe_key="k"))).verdict


async def test_a_job_that_is_retried_at_that_moment_is_kept(shelf: Shelf, other: Other) -> None:
    """Retried and not committed: stepped over.  Retried since the look: it has not ended any more."""
    first, second = await ended(shelf, "FAILED", 31), await ended(shelf, "FAILED", 31)
    await other.execute("SELECT FROM job_sweep")  # begins a transaction, in which the retry's own is a savepoint
    await Desk(other).retry(first, by="ada")
    async with asyncio.timeout(5):
        assert 1 == await prune(shelf)
    await other.commit()
    assert (0, [first]) == (await prune(shelf), await left(shelf))
    assert second not in await left(shelf)


async def test_windows_come_round_again(shelf: Shelf) -> None:
    """Whatever stands at the head is passed by; what ends there later is met in the next round."""
    await shelf.db.execute(FILL)
    pruner = Pruner(shelf.db, Retention(failed=None), shelf.clock)
    assert [0] * 8 == [await pruner.prune_some(seconds=60) for _ in range(8)]
    found = [await pruner.prune_some(seconds=60) for _ in range(13)]
    assert (PRUNABLE, 100_000 - PRUNABLE) == (sum(found), len(await left(shelf)))
    ((place, rounds),) = [tuple(row.values()) for row in await shelf.rows("SELECT place, rounds FROM job_sweep")]
    assert (0, 1) == (place, rounds)
    await shelf.db.execute("UPDATE background_job SET state = 'CANCELLED', finished_at = '2030-01-01' WHERE id = 7")
    assert 1 == await pruner.prune_some(seconds=60)


async def test_a_round_ends_where_all_is_young(shelf: Shelf) -> None:
    """A table of a million young rows is not walked for nothing: the first window of them is enough."""
    old = [await ended(shelf, "SUCCEEDED", 11) for _ in range(3)]
    young = [await ended(shelf, "SUCCEEDED", 1) for _ in range(9)]
    assert [3, 0] == [await prune(shelf, most=3), await prune(shelf, most=3)]
    ((place, rounds),) = [tuple(row.values()) for row in await shelf.rows("SELECT place, rounds FROM job_sweep")]
    assert (0, 1, young) == (place, rounds, await left(shelf))
    assert old


async def test_two_that_prune_at_once_do_not_wait_for_each_other(
    shelf: Shelf, other: Other, caplog: pytest.LogCaptureFixture
) -> None:
    """One has the window; the other has better things to do, and does not even say so."""
    await ended(shelf, "SUCCEEDED", 11)
    await other.execute("SELECT 1 FROM job_sweep FOR UPDATE")
    async with asyncio.timeout(5):
        assert 0 == await prune(shelf)
    assert [] == caplog.messages
    await other.rollback()
    assert 1 == await prune(shelf)


async def test_a_table_that_refuses_costs_a_warning(shelf: Shelf, caplog: pytest.LogCaptureFixture) -> None:
    """A row of somebody's own that points to a job keeps it; the invocation goes on."""
    job_id = await ended(shelf, "SUCCEEDED", 11)
    await shelf.db.execute("CREATE TABLE mine (job_id bigint REFERENCES background_job (id))")
    await shelf.db.execute("INSERT INTO mine VALUES (%s)", [job_id])
    assert (0, [job_id]) == (await prune(shelf), await left(shelf))
    assert ["jobs.prune_failed error_type='ForeignKeyViolation'"] == [record.message for record in caplog.records]


async def test_a_prune_that_takes_too_long_is_given_up(
    shelf: Shelf, other: Other, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing of it is kept, and the connection is as good as before."""
    job_id = await ended(shelf, "SUCCEEDED", 11)
    await other.execute("LOCK TABLE background_job")
    assert 0 == await Pruner(shelf.db, KEPT, shelf.clock).prune_some(seconds=0.2)
    async with shelf.db.transaction():
        await shelf.db.execute("SET LOCAL statement_timeout = '100ms'")  # as a role may have it
        assert 0 == await prune(shelf)
    await other.rollback()
    assert [f"jobs.prune_failed error_type='{name}'" for name in ("TimeoutError", "QueryCanceled")] == caplog.messages
    assert [job_id] == await left(shelf)
    assert 1 == await prune(shelf)


@pytest.mark.direct("ends a connection that is the pruner's own")
async def test_a_database_that_goes_away_is_no_matter_of_pruning(shelf: Shelf, db: Other) -> None:
    """The invocation must hear of it."""
    await ended(shelf, "SUCCEEDED", 11)
    async with connect(shelf.url) as connection:
        await db.execute("SELECT pg_terminate_backend(%s)", [connection.info.backend_pid])
        with pytest.raises(psycopg.OperationalError):
            await Pruner(connection, KEPT, shelf.clock).prune_some(seconds=60)


async def test_by_hand_all_is_counted_and_then_deleted(shelf: Shelf) -> None:
    """A dry run changes nothing; a real one is done when it has seen all; neither moves the runners' place."""
    for n in range(10):
        await ended(shelf, "SUCCEEDED" if n % 2 else "FAILED", 31)
    await shelf.db.execute("UPDATE job_sweep SET place = 4711")
    pruner = Pruner(shelf.db, KEPT, shelf.clock)

    def sums(windows: list[Window]) -> tuple[int, ...]:
        return sum(w.succeeded for w in windows), sum(w.failed for w in windows), sum(w.looked_at for w in windows)

    dry = [window async for window in pruner.prune_all(is_dry=True, most=4)]
    assert ((5, 5, 10), 10) == (sums(dry), len(await left(shelf)))
    real = [window async for window in pruner.prune_all(is_dry=False, most=4)]
    assert ((5, 5, 10), []) == (sums(real), await left(shelf))
    assert [4711] == [row["place"] for row in await shelf.rows("SELECT place FROM job_sweep")]


@pytest.mark.parametrize("statistics", ["of an empty table", "of a full one"])
async def test_a_window_walks_so_many_rows_wherever_it_stands(
    recorder: Recorder,
    statistics: str,
) -> None:
    """A hundred thousand rows, windows of a thousand: at the head, among what is pruned, at the end; no other index."""
    if statistics == "of an empty table":
        await recorder.execute("ANALYZE background_job")
    await recorder.execute(FILL)
    if statistics == "of a full one":
        await recorder.execute("ANALYZE background_job")
    pruner, most = Pruner(recorder, Retention(succeeded=10 * DAY)), 1000
    set_place: LiteralString = "UPDATE job_sweep SET place = %s"
    for place in (0, 39_500, 60_000, 89_500, 99_500, 500_000):
        await recorder.execute(set_place, [place])
        plan = await plan_of(recorder, pruner.prune_some(seconds=60, most=most))
        assert ({"background_job_pkey", "job_sweep_pkey"}, []) == (plan.indexes | {"job_sweep_pkey"}, plan.walks)
        assert plan.rows <= 3 * most
        assert plan.buffers <= 40 * most
