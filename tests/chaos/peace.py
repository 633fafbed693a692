"""The drain: in peace, everything ends; first what has room behind limits that are full, then the rest.

As it begins a stranger holds all places of the crowd, whose streams come first by their names: in front of the others
wait a job of each of its tenants in the lane live, and one that was lost and is to run alone.
"""

import asyncio
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import LiteralString

from tests.chaos import stranger
from tests.chaos.database import Database
from tests.chaos.fleet import Fleet
from tests.chaos.load import Enqueuer, set_last_caps
from tests.chaos.people import Person

from leadjobs.core.job import Lane

PATIENCE, LONGEST = 60.0, 300.0  # seconds in which nothing moves, and of all, until what is left counts as stuck
CROWDED = ["CROWDED"]
PEACE = "CREATE TABLE peace (began timestamptz);"
MOVES = "SELECT coalesce(sum(lease_no + generation), 0) FROM background_job"
RUNNING = "SELECT count(*) FROM background_job WHERE state = 'RUNNING'"
ELSEWHERE = "SELECT count(*) FROM background_job WHERE state IN ('PENDING', 'RUNNING') AND type <> 'CROWDED'"
LEFT = "SELECT count(*) FROM background_job WHERE state IN ('PENDING', 'RUNNING')"
UNKNOWN = """
SELECT count(*) FROM job_effect AS effect JOIN background_job AS job ON job.id = job_id
 WHERE effect.state = 'intended' AND job.state = 'FAILED'
"""


@dataclass(frozen=True)
class Peace:
    """All who take part in the drain."""

    database: Database
    fleet: Fleet
    enqueuer: Enqueuer
    person: Person

    async def drain(self, processes: int) -> list[str]:
        """Let everything end; what is stuck is told."""
        await self.enqueuer.add_last()
        held = await self._hold_the_crowds_places()
        await set_last_caps(self.database)
        await self.database.rows("INSERT INTO peace VALUES (now()) RETURNING began")
        self.fleet.start(processes, is_calm=True)
        stuck = await self._until_none(ELSEWHERE, "behind limits that are full")
        await self.database.rows("UPDATE background_job SET lease_until = now() WHERE id = ANY (%s) RETURNING id", held)
        stuck += [] if stuck else await self._until_none(LEFT, "in peace")
        await self.fleet.stop()
        return stuck

    async def _hold_the_crowds_places(self) -> list[int]:
        """Lose one job of each of its tenants, and hold another."""
        while await self.database.value(RUNNING):  # by those who are dead
            await stranger.rescue(self.database)
            await asyncio.sleep(0.05)
        await stranger.claim(self.database, CROWDED, [Lane.LIVE], seconds=0)
        await stranger.rescue(self.database)
        return [*await stranger.claim(self.database, CROWDED, [Lane.LIVE], seconds=2 * LONGEST)]

    async def _until_none(self, query: LiteralString, where: str) -> list[str]:
        """Wait until the query counts none, and no effect's end is unknown: a person answers for those."""
        began = moved_at = time.monotonic()
        moves = -1
        while await self.database.value(query) or await self.database.value(UNKNOWN):
            await self.person.answer_for_unknown_effects(after=timedelta())  # who might still make them is dead
            await asyncio.sleep(0.1)
            now = time.monotonic()
            if (latest := await self.database.value(MOVES)) != moves:
                moves, moved_at = latest, now
            if now - moved_at > PATIENCE or now - began > LONGEST:
                still = f"nothing has moved for {now - moved_at:.0f} s"
                return [f"{where}: jobs are left after {now - began:.0f} s, {still}"]
        return []
