"""What goes wrong in a chaos run: processes die and freeze, the database restarts, connections are cut, rows locked,
the network goes silent, and who has claimed under limits is never heard of again."""

import asyncio
import random
import signal
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import LiteralString

import psycopg
from tests.chaos import stranger
from tests.chaos.database import Database
from tests.chaos.fleet import Fleet
from tests.chaos.jobs import GRACE, TIMEOUT
from tests.engine.runner.silence import Network

from leadjobs.core.job import Lane

LONGEST_FREEZE = 2 * (TIMEOUT + GRACE)  # seconds: half of the freezes outlive every lease
LONGEST_SILENCE = 8.0  # seconds: it outlives leases and invocations
LONGEST_LOCK = 2.5  # seconds: a runner waits for a limit for two
CUTTABLE = """
SELECT pid FROM pg_stat_activity
 WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid() ORDER BY pid
"""
LOCKS: tuple[LiteralString, ...] = (
    "SELECT id FROM background_job WHERE state = 'RUNNING' ORDER BY md5(id || %s) LIMIT 5 FOR UPDATE",
    "SELECT id FROM background_job WHERE state = 'PENDING' ORDER BY md5(id || %s) LIMIT 5 FOR UPDATE",
    "SELECT name FROM job_limit ORDER BY md5(name || %s) LIMIT 2 FOR UPDATE",
    "SELECT tenant FROM job_budget_day ORDER BY md5(tenant || %s) LIMIT 1 FOR UPDATE",
    "SELECT name FROM job_schedule ORDER BY md5(name || %s) LIMIT 2 FOR UPDATE",
)


@dataclass
class Trouble:
    """Makes trouble, as the dice say; ``made`` counts it.  Each kind comes up in every round,
    and ``a_round`` is set after the first."""

    database: Database
    fleet: Fleet
    network: Network
    dice: random.Random
    made: Counter[str] = field(default_factory=Counter)
    a_round: asyncio.Event = field(default_factory=asyncio.Event)
    _going_on: set[asyncio.Task[None]] = field(default_factory=set)

    async def run(self) -> None:
        """Go on until cancelled, and leave no process frozen, no row locked and no network silent."""
        kinds: Mapping[str, Callable[[], Awaitable[None]]] = {
            "kills": self._kill,
            "freezes": self._freeze,
            "cuts": self._cut,
            "locks": self._lock,
            "silences": self._silence,
            "losses under limits": self._lose,
            "fast restarts": lambda: self.database.restart(signal.SIGINT),
            "immediate restarts": lambda: self.database.restart(signal.SIGQUIT),
        }
        try:
            while True:
                once = list(kinds)
                for name in self.dice.sample(once + once[:4], k=len(once) + 4):
                    await asyncio.sleep(self.dice.uniform(0.1, 1.2))
                    await kinds[name]()
                    self.made[name] += 1
                self.a_round.set()
        finally:
            for task in self._going_on:
                task.cancel()
            await asyncio.gather(*self._going_on, return_exceptions=True)

    def _meanwhile(self, doing: Awaitable[None]) -> None:
        task = asyncio.ensure_future(doing)
        self._going_on.add(task)
        task.add_done_callback(self._going_on.discard)

    async def _kill(self) -> None:
        if process := self.fleet.some():
            self.fleet.kill(process)

    async def _freeze(self) -> None:
        if process := self.fleet.some():
            self._meanwhile(self.fleet.freeze(process, self.dice.uniform(0.2, LONGEST_FREEZE)))

    async def _cut(self) -> None:
        """End some of everybody's connections, in whatever they are doing."""
        pids = [row["pid"] for row in await self.database.rows(CUTTABLE)]
        for pid in self.dice.sample(pids, k=min(len(pids), self.dice.randint(1, 4))):
            await self.database.rows("SELECT pg_terminate_backend(%s)", pid)

    async def _silence(self) -> None:
        self._meanwhile(self._fall_silent(self.dice.uniform(0.3, LONGEST_SILENCE)))

    async def _fall_silent(self, seconds: float) -> None:
        """The network brings nothing for a while, and then all of it, or it breaks."""
        self.network.falls_silent()
        try:
            await asyncio.sleep(seconds)
        finally:
            self.dice.choice((self.network.goes_on, self.network.breaks))()

    async def _lose(self) -> None:
        """All places are taken that there are, on leases that nobody will end."""
        with suppress(psycopg.Error):
            await stranger.claim(self.database, stranger.UNDER_LIMITS, list(Lane), seconds=TIMEOUT + GRACE)

    async def _lock(self) -> None:
        query, salt = self.dice.choice(LOCKS), str(self.dice.random())
        self._meanwhile(self._hold(query, salt, self.dice.uniform(0.2, LONGEST_LOCK)))

    async def _hold(self, query: LiteralString, salt: str, seconds: float) -> None:
        try:
            async with await self.database.connect("chaos stranger", autocommit=False) as connection:
                await connection.execute(query, [salt])
                await asyncio.sleep(seconds)
                await connection.rollback()
        except psycopg.Error:
            pass  # it was cut too
