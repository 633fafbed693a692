"""The plans of the engine's statements: no table is walked, whatever is in it and whatever the statistics say (G16)."""

from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import psycopg
import pytest
from psycopg.rows import DictRow, dict_row

from leadjobs import Done, JobId, NewJob, RetryPolicy, enqueue_many
from leadjobs.core.ending import Run
from leadjobs.core.job import Lease
from leadjobs.core.plan import Share
from leadjobs.store.connection import CONNECT
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


class Recorder(psycopg.AsyncConnection[DictRow]):
    """A connection that remembers what the engine asked last, with its binds."""

    asked: tuple[Any, Any] = ("", None)


class RecordingCursor(psycopg.AsyncCursor[DictRow]):
    """Where everything passes that is asked."""

    async def execute(self, query: Any, params: Any = None, **more: Any) -> Self:
        if isinstance(self.connection, Recorder) and params is not None:
            self.connection.asked = query, params
        return await super().execute(query, params, **more)


@dataclass
class Plan:
    """What EXPLAIN (ANALYZE, BUFFERS) said of a statement."""

    indexes: set[str] = field(default_factory=set)
    walks: list[str] = field(default_factory=list)
    rows: int = 0
    buffers: int = 0

    @classmethod
    def of(cls, root: Mapping[str, Any]) -> "Plan":
        plan = cls(buffers=root["Shared Hit Blocks"] + root["Shared Read Blocks"])
        for node in nodes(root):
            if "Index Name" in node:
                plan.indexes.add(node["Index Name"])
            if node.get("Relation Name") == "background_job" and node["Node Type"].endswith("Scan"):
                touched = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
                plan.rows += round(touched * node["Actual Loops"])
                if node["Node Type"] == "Seq Scan":
                    plan.walks.append(node["Node Type"])
        return plan


def nodes(root: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield root
    for child in root.get("Plans", ()):
        yield from nodes(child)


@dataclass(frozen=True)
class Bound:
    """What a statement may use and touch, all in all."""

    indexes: set[str]
    rows: int
    buffers: int


PENDING, RUNNING, KEY, HOLD = (f"background_job_{name}" for name in ("pending", "running", "pkey", "hold"))
BOUNDS = {
    "discover": Bound({PENDING}, rows=2 * TENANTS, buffers=20 * TENANTS),
    "claim": Bound({PENDING, KEY}, rows=4 * 2 * TENANTS, buffers=60 * 2 * TENANTS),
    "settle": Bound({KEY}, rows=2 * 200, buffers=40 * 200),
    "find_lost": Bound({KEY}, rows=200, buffers=10 * 200),
    "rescue": Bound({RUNNING, KEY}, rows=2 * 100 + 2, buffers=60 * 100),  # and a probe for each type
    "backlog": Bound({PENDING}, rows=3 * 1000, buffers=5 * 1000),
    "find_holders of one": Bound({HOLD}, rows=1, buffers=10),
    "find_holders of 2000": Bound({HOLD}, rows=2000, buffers=10 * 2000),
}


@pytest.fixture
async def recorder(url: str) -> AsyncIterator[Recorder]:
    """The engine's connection to a database whose statistics are only gathered by hand."""
    async with await Recorder.connect(
        url, autocommit=True, row_factory=dict_row, cursor_factory=RecordingCursor, **CONNECT
    ) as connection:
        await connection.execute("ALTER TABLE background_job SET (autovacuum_enabled = off)")
        yield connection


async def plan_of(recorder: Recorder, asking: Awaitable[Any]) -> Plan:
    """The plan of the last statement of this, with what it found before it changed anything."""
    async with recorder.transaction(force_rollback=True):
        await asking
    query, params = recorder.asked
    async with recorder.transaction(force_rollback=True):
        (row,) = await (await recorder.execute("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + query, params)).fetchall()
    return Plan.of(row["QUERY PLAN"][0]["Plan"])


async def all_plans(recorder: Recorder) -> dict[str, Plan]:
    """The plan of each statement on this database, as the store and enqueue ask it."""
    store = JobStore(recorder)
    streams = await store.discover(KNOWN)
    running = "SELECT id FROM background_job WHERE state = 'RUNNING' ORDER BY id"
    leases = [Lease(JobId(row["id"]), 1) for row in await (await recorder.execute(running)).fetchall()]
    held = [NewJob(type="SEND", tenant=f"t{n % TENANTS}", dedupe_key=f"done-{n}") for n in range(1, 2001)]
    shares = [Share(stream, 2) for stream in streams]
    assert (TENANTS, 200) == (len(streams), len(leases))
    return {
        "discover": await plan_of(recorder, store.discover(KNOWN)),
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
    """Each statement uses its own index, walks no table, and touches as little as it should."""
    plans = await all_plans(recorder)
    assert {name: bound.indexes for name, bound in BOUNDS.items()} == {
        name: plan.indexes for name, plan in plans.items()
    }
    assert [] == [name for name, plan in plans.items() if plan.walks]
    over = {name: plan for name, plan in plans.items() if plan.rows > BOUNDS[name].rows}
    over |= {name: plan for name, plan in plans.items() if plan.buffers > BOUNDS[name].buffers}
    assert {} == over


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
