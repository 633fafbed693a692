"""The plans of the hot statements on a table with a million rows, never analyzed and then analyzed (G16).

Only ./dev test --full runs this: to fill the table takes a while.  A smaller one is in test_plans.py.
"""

from collections.abc import Awaitable
from typing import Any

from tests.engine.store.plans import (
    FAILED,
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

from leadjobs import Done, JobId, Limit, NewJob, Retention, RetryPolicy, enqueue_many
from leadjobs.core.clock import SystemClock
from leadjobs.core.ending import Run
from leadjobs.core.job import Lease, State
from leadjobs.core.limit import NamedLimit
from leadjobs.core.plan import Share
from leadjobs.store.dead_letters import BulkDesk
from leadjobs.store.desk import Desk
from leadjobs.store.holds import HoldDesk
from leadjobs.store.jobs import JobStore
from leadjobs.store.limits import LimitStore
from leadjobs.store.pruning import Pruner

KNOWN = ["HELD", "OTHER", "SEND"]
TENANTS, DUE, RUN = 40, 400, 200
PAGE, WINDOW = 50, 5000

# What is due and may run is one in 3,000.  Before it is what may not: of a held type, and of one that nobody knows.
FILL = """
INSERT INTO background_job (type, tenant, state, dedupe_key, run_at, created_at, finished_at, reason)
SELECT 'SEND', 't' || n % 40, CASE WHEN n % 50 = 0 THEN 'FAILED' ELSE 'SUCCEEDED' END, 'done-' || n, at, at, at, 'done'
  FROM generate_series(1, 1000000) AS n CROSS JOIN LATERAL (
       SELECT now() - interval '100 days' + make_interval(secs => 8 * n)) AS moment (at);
INSERT INTO background_job (type, tenant, run_at)
SELECT 'SEND', 't' || n % 40, now() + interval '1 day' + make_interval(secs => n) FROM generate_series(1, 200000) AS n;
INSERT INTO background_job (type, tenant, run_at)
SELECT CASE WHEN n % 2 = 0 THEN 'HELD' ELSE 'AN_UNKNOWN_TYPE' END, 't' || n % 40, now() - interval '2 days'
  FROM generate_series(1, 50000) AS n;
INSERT INTO background_job (type, tenant, dedupe_key, run_at)
SELECT 'SEND', 't' || n % 40, 'due-' || n, now() - make_interval(secs => n) FROM generate_series(1, 400) AS n;
INSERT INTO background_job (type, tenant, state, lease_no, lease_until)
SELECT 'SEND', 't' || n % 40, 'RUNNING', 1, now() + make_interval(hours => CASE WHEN n % 2 = 0 THEN 1 ELSE -1 END)
  FROM generate_series(1, 200) AS n;
INSERT INTO job_hold (name, kind, reason) VALUES ('HELD', 'paused', 'until somebody lets go');
"""

BOUNDS = {
    "discover": Bound({PENDING}, rows=2 * 2 * TENANTS, buffers=20 * 2 * TENANTS),
    "discover beside": Bound({PENDING}, rows=2 * 2 * TENANTS, buffers=20 * 2 * TENANTS),
    "claim": Bound({PENDING, KEY}, rows=2 * DUE, buffers=30 * DUE),
    "settle": Bound({KEY}, rows=2 * RUN, buffers=60 * RUN),
    "find_lost": Bound({KEY}, rows=RUN, buffers=10 * RUN),
    "rescue": Bound({RUNNING, KEY}, rows=RUN + 2, buffers=60 * RUN),
    "backlog": Bound({PENDING}, rows=3 * 1000, buffers=5 * 1000),
    "count_running": Bound({RUNNING}, rows=RUN, buffers=2 * RUN),
    "enqueue of 100 held keys": Bound({HOLD}, rows=0, buffers=20 * 100),
    "enqueue of 100 free keys": Bound({HOLD}, rows=0, buffers=50 * 100),
    "find_holders": Bound({HOLD}, rows=100, buffers=10 * 100),
    "prune": Bound({KEY}, rows=3 * WINDOW, buffers=20 * WINDOW),
    "list_jobs": Bound({KEY}, rows=PAGE, buffers=4 * PAGE),
    "list_jobs of a tenant": Bound({KEY}, rows=PAGE * TENANTS, buffers=2 * PAGE * TENANTS),
    "list_jobs that failed": Bound({FAILED}, rows=PAGE, buffers=4 * PAGE),
    # A person's statement: where nothing was ever analyzed, it sorts all that failed instead of walking the newest.
    "find_jobs that failed": Bound({FAILED}, rows=20_000, buffers=2 * 20_000),
    "count_ahead": Bound({PENDING}, rows=1000, buffers=2 * 1000),
}


async def all_plans(recorder: Recorder) -> dict[str, Plan]:
    """The plan of each statement, as runners, enqueuers and operators ask it."""

    async def of(asking: Awaitable[Any], words: str = "") -> Plan:
        return await plan_of(recorder, asking, words=words)

    async def lock() -> None:
        async with LimitStore(recorder, SystemClock()).locked([limit]):
            pass

    store, desk, bulk, limit = (
        JobStore(recorder),
        Desk(recorder),
        BulkDesk(recorder),
        NamedLimit("SEND", Limit(running=300), ("SEND",), None),
    )
    await lock()  # declares it
    streams = (await store.discover(KNOWN)).streams
    running = "SELECT id FROM background_job WHERE state = 'RUNNING' ORDER BY id"
    leases = [Lease(JobId(row["id"]), 1) for row in await (await recorder.execute(running)).fetchall()]
    assert (2 * TENANTS - TENANTS // 2, RUN) == (len(streams), len(leases))
    held, free = (
        [NewJob(type="SEND", tenant=f"t{n % TENANTS}", dedupe_key=f"{what}-{n}") for n in range(1, 101)]
        for what in ("done", "free")
    )
    (last,) = await (await recorder.execute("SELECT max(id) AS id FROM background_job WHERE lease_no = 0")).fetchall()
    return {
        "discover": await of(store.discover(KNOWN)),
        "discover beside": await of(store.discover(KNOWN, streams[::2])),
        "claim": await of(store.claim([Share(stream, 10) for stream in streams], {}, {"SEND": 60.0})),
        "settle": await of(store.settle([Run(lease, 0, RetryPolicy()).said(Done()) for lease in leases])),
        "find_lost": await of(store.find_lost(leases)),
        "rescue": await of(store.rescue(max_losses=2)),
        "backlog": await of(store.backlog(KNOWN)),
        "count_running": await of(lock()),
        "enqueue of 100 held keys": await of(enqueue_many(recorder, held), "INSERT INTO"),
        "enqueue of 100 free keys": await of(enqueue_many(recorder, free)),
        "find_holders": await of(enqueue_many(recorder, held)),
        "prune": await of(Pruner(recorder, Retention()).prune_some(seconds=2, most=WINDOW)),
        "list_jobs": await of(desk.list_jobs(most=PAGE)),
        "list_jobs of a tenant": await of(desk.list_jobs(tenant="t7", most=PAGE)),
        "list_jobs that failed": await of(desk.list_jobs(state=State.FAILED, most=PAGE)),
        "find_jobs that failed": await of(bulk.dead(most=1000)),
        "count_ahead": await of(HoldDesk(recorder).why(JobId(last["id"])), "AS ahead"),
    }


async def test_a_million_rows_make_no_statement_walk_the_table(recorder: Recorder) -> None:
    """Neither where nobody has ever analyzed them, nor where it was just done."""
    await recorder.execute(FILL)
    (row,) = await (
        await recorder.execute("SELECT reltuples FROM pg_class WHERE relname = 'background_job'")
    ).fetchall()
    assert row["reltuples"] == -1  # never analyzed

    assert_within(BOUNDS, await all_plans(recorder))
    await recorder.execute("ANALYZE background_job")
    assert_within(BOUNDS, await all_plans(recorder))
