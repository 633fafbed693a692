"""Enqueuers: they add jobs of all kinds beside rows of their own, and know which commits they were told of."""

import asyncio
import itertools
import random
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg.rows import DictRow
from tests.chaos.database import Database
from tests.chaos.jobs import ASKED, REGISTRY, USED, Work

from leadjobs import Enqueued, NewJob, OnConflict, enqueue_many
from leadjobs.store.budget_desk import BudgetDesk

REQUESTS = """
CREATE TABLE request (n bigint PRIMARY KEY, type text NOT NULL, tenant text NOT NULL, key text, job_id bigint NOT NULL);
"""
TENANTS = ("north", "south", "east")
CROWD = tuple(f"crowd-{n:02}" for n in range(24))  # more than one claim asks for, and first by their names
THRIFTY = "thrifty"
UNREADABLE = ('{"n": "many"}', '{"n": null}', '{"ms": {}}', '{"n": 1e5000}', f'{{"n": {"[" * 1500}{"]" * 1500}}}')


@dataclass(frozen=True)
class Kind:
    """Jobs of one type: how often they come, of whom, and what is unusual about how they are added.

    ``last`` is how many more of them each tenant has as the drain begins.
    """

    weight: int
    tenants: tuple[str, ...] = TENANTS
    is_keyed: bool = False
    payloads: tuple[str, ...] = ()  # one of them is written over the job's own, straight into the table
    last: int = 0


KINDS: Mapping[str, Kind] = {
    "PLAIN": Kind(12),
    "FLAKY": Kind(4),
    "HOPELESS": Kind(2),
    "RAISING": Kind(3, last=1),
    "UNREADABLE": Kind(3, payloads=UNREADABLE, last=1),
    "SLOW": Kind(1),
    "SNOOZING": Kind(3),
    "BUSY": Kind(2),
    "STEPS": Kind(4),
    "EFFECT": Kind(7),
    "SPENDING": Kind(5),
    "SQUEEZED": Kind(3, (THRIFTY,), last=4),
    "LIMITED": Kind(4, last=2),
    "SHARING": Kind(3, last=2),
    "CROWDED": Kind(7, CROWD, last=3),
    "RATED": Kind(3, last=1),
    "OWN": Kind(5),
    "KEYED": Kind(8, is_keyed=True),
}
MOST_WAITING = 250  # unfinished jobs, beyond which nothing is added: what is lost runs alone, and that takes its time
CAPS = {"north": 40_000, "south": 100, THRIFTY: 30}  # tokens; "east" has none
SIDE_BY_SIDE = 2  # jobs that may reserve at once where all that is left just fits

Connection = psycopg.AsyncConnection[DictRow]


@dataclass
class Enqueuer:
    """Adds jobs of its own keys, numbered upwards from ``first``; ``told`` are those whose commit was confirmed."""

    database: Database
    dice: random.Random
    first: int
    told: list[int] = field(default_factory=list)
    undone: list[int] = field(default_factory=list)
    _n: int = 0

    async def run(self) -> None:
        """Enqueue until cancelled: a few jobs in one transaction, which is undone now and then."""
        names, weights = list(KINDS), [kind.weight for kind in KINDS.values()]
        while True:
            try:
                async with await self.database.connect("chaos enqueuer", autocommit=False) as connection:
                    while True:
                        await self._wait_for_room(connection)
                        chosen = self.dice.choices(names, weights, k=self.dice.randint(1, 6))
                        jobs = [self._job(name, self.dice.choice(KINDS[name].tenants)) for name in chosen]
                        await self._request(connection, jobs, is_undone=self.dice.random() < 0.05)
            except psycopg.Error:  # the connection was cut, or the server is away
                await asyncio.sleep(0.02)

    async def add_last(self) -> None:
        """Add what is to be there as the drain begins."""
        async with await self.database.connect("chaos enqueuer", autocommit=False) as connection:
            places = [(name, tenant) for name, kind in KINDS.items() for tenant in kind.tenants * kind.last]
            await self._request(connection, [self._job(*place) for place in places], is_undone=False)

    async def _wait_for_room(self, connection: Connection) -> None:
        await asyncio.sleep(self.dice.uniform(0, 0.1))
        unfinished = "SELECT count(*) AS jobs FROM background_job WHERE state IN ('PENDING', 'RUNNING')"
        while True:
            (row,) = await (await connection.execute(unfinished)).fetchall()
            await connection.rollback()
            if row["jobs"] < MOST_WAITING:
                return
            await asyncio.sleep(0.1)

    async def _request(self, connection: Connection, jobs: Sequence[NewJob], *, is_undone: bool) -> None:
        """Jobs, and a row for each of them, in one transaction."""
        numbers = [int(job.payload["n"]) for job in jobs]
        added = await enqueue_many(connection, jobs)
        cursor = connection.cursor()
        rows = [_row(job, answer) for job, answer in zip(jobs, added, strict=True)]
        await cursor.executemany("INSERT INTO request VALUES (%s, %s, %s, %s, %s)", rows)
        spoilt = [(self.dice.choice(kind.payloads), id_) for _, name, *_, id_ in rows if (kind := KINDS[name]).payloads]
        if spoilt:
            query = "UPDATE background_job SET payload = CAST(%s AS jsonb) WHERE id = %s"
            await cursor.executemany(query, spoilt)
        if is_undone:
            await connection.rollback()
            self.undone += numbers
        else:
            await connection.commit()
            self.told += numbers

    def _job(self, name: str, tenant: str) -> NewJob:
        self._n += 1
        work = Work(self.first + self._n, ms=self.dice.choice((0, 0, 5, 30, 200)), bad=self.dice.choice((0, 1, 2)))
        keyed: dict[str, Any] = {}
        if KINDS[name].is_keyed:
            keyed = {"dedupe_key": f"{self.first}:{self.dice.randint(1, 4)}", "on_conflict": OnConflict.REPLACE}
        return REGISTRY[name].type.job(work, tenant=tenant, **keyed)


def _row(job: NewJob, answer: Enqueued) -> tuple[Any, ...]:
    return (job.payload["n"], job.type, job.tenant, job.dedupe_key, answer.job_id)


async def set_caps(database: Database, times: int) -> None:
    """Set what tenants may spend: so many times what they may at first."""
    for tenant, cap in CAPS.items():
        async with await database.connect() as connection:
            await BudgetDesk(connection).set_cap(tenant, "tokens", times * cap)


async def raise_caps(database: Database, dice: random.Random) -> None:
    """Now and then give tenants as much again, until cancelled: else all that is left waits for another day."""
    for times in itertools.count(2):
        await asyncio.sleep(dice.uniform(3, 12))
        with suppress(psycopg.Error):  # the connection was cut, or the server is away: the next raise makes up for it
            await set_caps(database, times)


async def set_last_caps(database: Database) -> None:
    """Room for all that is left; but the thrifty tenant has no more than it takes, a few jobs side by side."""
    await set_caps(database, 10**9)
    left = "SELECT count(*) FROM background_job WHERE tenant = %s AND state IN ('PENDING', 'RUNNING')"
    takes = USED * await database.value(left, THRIFTY) + ASKED * SIDE_BY_SIDE
    async with await database.connect() as connection:
        desk = BudgetDesk(connection)
        used = sum(line.used for line in await desk.list_budgets() if line.tenant == THRIFTY)
        await desk.set_cap(THRIFTY, "tokens", used + takes)
