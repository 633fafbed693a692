"""Enqueuers: they add jobs of all kinds beside rows of their own, and know which commits they were told of."""

import asyncio
import itertools
import random
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg.rows import DictRow
from tests.chaos.database import Database
from tests.chaos.jobs import REGISTRY, Work

from leadjobs import Enqueued, NewJob, OnConflict, enqueue_many
from leadjobs.store.budget_desk import BudgetDesk

REQUESTS = """
CREATE TABLE request (n bigint PRIMARY KEY, type text NOT NULL, tenant text NOT NULL, key text, job_id bigint NOT NULL);
"""
TENANTS = ("north", "south", "east")
MOST_WAITING = 250  # unfinished jobs, beyond which nothing is added: what is lost runs alone, and that takes its time
WEIGHTS = {
    "PLAIN": 12, "FLAKY": 4, "HOPELESS": 2, "SLOW": 1, "SNOOZING": 3, "BUSY": 2, "STEPS": 4, "EFFECT": 6, "SPENDING": 5,
    "LIMITED": 4, "SHARING": 3, "RATED": 3, "OWN": 5, "KEYED": 8,
}  # fmt: skip
CAPS = {"north": 40_000, "south": 300}  # tokens; "east" has none


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
        """Enqueue until cancelled."""
        while True:
            try:
                async with await self.database.connect("chaos enqueuer", autocommit=False) as connection:
                    while True:
                        await self._wait_for_room(connection)
                        await self._request(connection)
            except psycopg.Error:  # the connection was cut, or the server is away
                await asyncio.sleep(0.02)

    async def _wait_for_room(self, connection: psycopg.AsyncConnection[DictRow]) -> None:
        await asyncio.sleep(self.dice.uniform(0, 0.1))
        unfinished = "SELECT count(*) AS jobs FROM background_job WHERE state IN ('PENDING', 'RUNNING')"
        while True:
            (row,) = await (await connection.execute(unfinished)).fetchall()
            await connection.rollback()
            if row["jobs"] < MOST_WAITING:
                return
            await asyncio.sleep(0.1)

    async def _request(self, connection: psycopg.AsyncConnection[DictRow]) -> None:
        """A few jobs and a row for each of them in one transaction, which is undone now and then."""
        jobs = [self._job() for _ in range(self.dice.randint(1, 6))]
        numbers = [int(job.payload["n"]) for job in jobs]
        added = await enqueue_many(connection, jobs)
        await connection.cursor().executemany(
            "INSERT INTO request VALUES (%s, %s, %s, %s, %s)",
            [_row(job, answer) for job, answer in zip(jobs, added, strict=True)],
        )
        if self.dice.random() < 0.05:
            await connection.rollback()
            self.undone += numbers
        else:
            await connection.commit()
            self.told += numbers

    def _job(self) -> NewJob:
        self._n += 1
        (name,) = self.dice.choices(list(WEIGHTS), list(WEIGHTS.values()))
        work = Work(self.first + self._n, ms=self.dice.choice((0, 0, 5, 30, 200)), bad=self.dice.choice((0, 1, 2)))
        keyed: dict[str, Any] = {}
        if name == "KEYED":
            keyed = {"dedupe_key": f"{self.first}:{self.dice.randint(1, 4)}", "on_conflict": OnConflict.REPLACE}
        return REGISTRY[name].type.job(work, tenant=self.dice.choice(TENANTS), **keyed)


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
