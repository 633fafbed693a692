"""Plans of the engine's statements: what is asked is recorded, and explained as it was asked."""

from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Self

import psycopg
from psycopg.rows import DictRow, dict_row

from leadjobs.store.connection import CONNECT

PENDING, RUNNING, FAILED, KEY, HOLD = (
    f"background_job_{name}" for name in ("pending", "running", "failed", "pkey", "hold")
)


class Recorder(psycopg.AsyncConnection[DictRow]):
    """A connection that remembers what the engine asked, with the binds."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.asked: list[tuple[Any, Any]] = []


class RecordingCursor(psycopg.AsyncCursor[DictRow]):
    """Where everything passes that is asked."""

    async def execute(self, query: Any, params: Any = None, **more: Any) -> Self:
        if isinstance(self.connection, Recorder) and params is not None:
            self.connection.asked.append((query, params))
        return await super().execute(query, params, **more)


@dataclass
class Plan:
    """What EXPLAIN (ANALYZE, BUFFERS) said of a statement: the job table's indexes and rows, and all buffers."""

    indexes: set[str] = field(default_factory=set)
    walks: list[str] = field(default_factory=list)
    rows: int = 0
    buffers: int = 0

    @classmethod
    def of(cls, root: Mapping[str, Any]) -> "Plan":
        plan = cls(buffers=root["Shared Hit Blocks"] + root["Shared Read Blocks"])
        for node in nodes(root):
            if node.get("Index Name", "").startswith("background_job"):
                plan.indexes.add(node["Index Name"])
            if node.get("Relation Name") != "background_job":
                continue
            plan.indexes.update(node.get("Conflict Arbiter Indexes", ()))
            if node["Node Type"].endswith("Scan"):
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

    def holds(self, plan: Plan) -> bool:
        """Does the plan keep to it?"""
        is_small = plan.rows <= self.rows and plan.buffers <= self.buffers
        return plan.indexes == self.indexes and not plan.walks and is_small


@asynccontextmanager
async def recorded(url: str) -> AsyncIterator[Recorder]:
    """The engine's connection to a database whose statistics are only gathered by hand."""
    async with await Recorder.connect(
        url, autocommit=True, row_factory=dict_row, cursor_factory=RecordingCursor, **CONNECT
    ) as connection:
        await connection.execute("ALTER TABLE background_job SET (autovacuum_enabled = off)")
        yield connection


async def plan_of(recorder: Recorder, asking: Awaitable[Any], *, words: str = "") -> Plan:
    """The plan of the last statement of this (that has the words), with what it found before it changed anything."""
    recorder.asked = []
    async with recorder.transaction(force_rollback=True):
        await asking
    query, params = [(query, params) for query, params in recorder.asked if words in query][-1]
    async with recorder.transaction(force_rollback=True):
        (row,) = await (await recorder.execute("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + query, params)).fetchall()
    return Plan.of(row["QUERY PLAN"][0]["Plan"])


def assert_within(bounds: Mapping[str, Bound], plans: Mapping[str, Plan]) -> None:
    """Each statement uses its own index, walks no table, and touches as little as it should."""
    wrong = {name: (plan, bounds[name]) for name, plan in plans.items() if not bounds[name].holds(plan)}
    assert (bounds.keys(), {}) == (plans.keys(), wrong), wrong
