"""The plans of the engine's statements: no table is walked, whatever is in it and whatever the statistics say (G16)."""

from tests.engine.store.plans import (
    HOLD,
    KEY,
    PENDING,
    RUNNING,
    Bound,
    Plan,
    Recorder,
    assert_within,
    plan_of,
)

from leadjobs import Done, JobId, NewJob, RetryPolicy, enqueue_many
from leadjobs.core.ending import Run
from leadjobs.core.job import Lease
from leadjobs.core.plan import Share
from leadjobs.store.jobs import JobStore

KNOWN = ["OTHER", "SEND", "WAVE"]
TENANTS = 40

# The head of the queue is of a type that nobody here knows; what is due is a thousandth of what lies around.
FILL = """
INSERT INTO background_job (type, tenant, run_at)
SELECT 'AN_UNKNOWN_TYPE', 't' || n % 40, now() - interval '2 days' FROM generate_series(1, 50000) AS n;
INSERT INTO background_job (type, tenant, state, dedupe_key, run_at, finished_at)
SELECT 'SEND', 't' || n % 40, 'SUCCEEDED', 'done-' || n, now() - interval '1 day', now()
  FROM generate_series(1, 200000) AS n;
INSERT INTO background_job (type, tenant, run_at)
SELECT 'SEND', 't' || n % 40, now() + interval '1 day' + make_interval(secs => n) FROM generate_series(1, 50000) AS n;
INSERT INTO background_job (type, tenant, dedupe_key, run_at)
SELECT 'SEND', 't' || n % 40, 'due-' || n, now() - make_interval(secs => n) FROM generate_series(1, 400) AS n;
INSERT INTO background_job (type, tenant, state, lease_no, lease_until)
SELECT 'SEND', 't' || n % 40, 'RUNNING', 1, now() + make_interval(hours => CASE WHEN n % 2 = 0 THEN 1 ELSE -1 END)
  FROM generate_series(1, 200) AS n;
"""
TINY = (
    "INSERT INTO background_job (type, state, lease_until) SELECT 'SEND', 'RUNNING', now() FROM generate_series(1, 20)"
)


BOUNDS = {
    "discover": Bound({PENDING}, rows=2 * TENANTS, buffers=20 * TENANTS),
    "discover beside": Bound({PENDING}, rows=2 * TENANTS, buffers=20 * TENANTS),
    "claim": Bound({PENDING, KEY}, rows=4 * 2 * TENANTS, buffers=60 * 2 * TENANTS),
    "settle": Bound({KEY}, rows=2 * 200, buffers=40 * 200),
    "find_lost": Bound({KEY}, rows=200, buffers=10 * 200),
    "rescue": Bound({RUNNING, KEY}, rows=2 * 100 + 2, buffers=60 * 100),  # and a probe for each type
    "backlog": Bound({PENDING}, rows=3 * 1000, buffers=5 * 1000),
    "find_holders of one": Bound({HOLD}, rows=1, buffers=10),
    "find_holders of 2000": Bound({HOLD}, rows=2000, buffers=10 * 2000),
}


async def all_plans(recorder: Recorder) -> dict[str, Plan]:
    """The plan of each statement on this database, as the store and enqueue ask it."""
    store = JobStore(recorder)
    streams = (await store.discover(KNOWN)).streams
    running = "SELECT id FROM background_job WHERE state = 'RUNNING' ORDER BY id"
    leases = [Lease(JobId(row["id"]), 1) for row in await (await recorder.execute(running)).fetchall()]
    held = [NewJob(type="SEND", tenant=f"t{n % TENANTS}", dedupe_key=f"done-{n}") for n in range(1, 2001)]
    shares = [Share(stream, 2) for stream in streams]
    assert (TENANTS, 200) == (len(streams), len(leases))
    return {
        "discover": await plan_of(recorder, store.discover(KNOWN)),
        "discover beside": await plan_of(recorder, store.discover(KNOWN, streams[::2])),
        "claim": await plan_of(recorder, store.claim(shares, {}, {"SEND": 60.0})),
        "settle": await plan_of(
            recorder, store.settle([Run(lease, 0, RetryPolicy()).said(Done()) for lease in leases])
        ),
        "find_lost": await plan_of(recorder, store.find_lost(leases)),
        "rescue": await plan_of(recorder, store.rescue(max_losses=2)),
        "backlog": await plan_of(recorder, store.backlog(KNOWN)),
        "find_holders of one": await plan_of(recorder, enqueue_many(recorder, held[:1])),
        "find_holders of 2000": await plan_of(recorder, enqueue_many(recorder, held)),
    }


async def assert_bounded(recorder: Recorder) -> None:
    """Each statement touches as little as it should."""
    assert_within(BOUNDS, await all_plans(recorder))


async def test_statistics_of_an_empty_table_make_no_statement_walk_a_full_one(recorder: Recorder) -> None:
    """A table that was empty when it was last analyzed, and is full now, as after a first big enqueue."""
    await recorder.execute("ANALYZE background_job")
    await recorder.execute(FILL)

    await assert_bounded(recorder)


async def test_neither_misleading_nor_fresh_statistics_make_a_statement_walk_the_table(recorder: Recorder) -> None:
    """First the table had a few rows, all running, when it was last analyzed; then it is analyzed as it is."""
    await recorder.execute(TINY)
    await recorder.execute("ANALYZE background_job")
    await recorder.execute("DELETE FROM background_job")
    await recorder.execute(FILL)

    await assert_bounded(recorder)
    await recorder.execute("ANALYZE background_job")
    await assert_bounded(recorder)
