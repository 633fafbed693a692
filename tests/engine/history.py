"""What happened to every job, as the database saw it: each change of a state or a lease, with its time and transaction.

Install it before a race, and check it afterwards: it finds what a test's own counting would miss.
"""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import class_row

INSTALL = """
CREATE TABLE history (
    no bigint GENERATED ALWAYS AS IDENTITY, job_id bigint, type text, tenant text, was text, state text,
    lease_was integer, lease_no integer, at timestamptz DEFAULT clock_timestamp(), started_at timestamptz
);
CREATE FUNCTION keep_history() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO history (job_id, type, tenant, was, state, lease_was, lease_no, started_at)
    VALUES (new.id, new.type, new.tenant, old.state, new.state, old.lease_no, new.lease_no, new.started_at);
    RETURN NULL;
END $$;
CREATE TRIGGER keep_history AFTER UPDATE ON background_job FOR EACH ROW
    WHEN (old.state <> new.state OR old.lease_no <> new.lease_no) EXECUTE FUNCTION keep_history();
"""


@dataclass(frozen=True)
class Event:
    """A change of one job."""

    no: int
    job_id: int
    type: str
    tenant: str
    was: str
    state: str
    lease_was: int
    lease_no: int
    at: datetime
    started_at: datetime | None

    @property
    def is_claim(self) -> bool:
        return self.state == "RUNNING" and self.was != "RUNNING"

    @property
    def is_end(self) -> bool:
        return self.was == "RUNNING" and self.state != "RUNNING"


class History:
    """The changes of a database's jobs, and what must never be among them."""

    def __init__(self, db: AsyncConnection[Any]) -> None:
        self._db = db

    async def install(self) -> None:
        """Watch from now on."""
        await self._db.execute(INSTALL)

    async def events(self) -> list[Event]:
        """All that has happened, in order."""
        async with self._db.cursor(row_factory=class_row(Event)) as cursor:
            return await (await cursor.execute("SELECT * FROM history ORDER BY at, no")).fetchall()

    async def violations(self) -> list[str]:
        """What breaks G3: a claim of what was not waiting, a lease number that did not grow, an end without a claim."""
        found: list[str] = []
        last: dict[int, Event] = {}
        for event in await self.events():
            before = last.get(event.job_id)
            if event.lease_no != event.lease_was + 1:
                found.append(f"job {event.job_id}: the lease number went from {event.lease_was} to {event.lease_no}")
            if before is not None and (before.state, before.lease_no) != (event.was, event.lease_was):
                found.append(
                    f"job {event.job_id}: {before.state}/{before.lease_no} became {event.was}/{event.lease_was}"
                )
            if event.is_claim and event.was != "PENDING":
                found.append(f"job {event.job_id}: claimed while {event.was}")
            if event.was in {"SUCCEEDED", "CANCELLED"}:
                found.append(f"job {event.job_id}: {event.was} became {event.state}")
            last[event.job_id] = event
        return found

    async def most_running(self, *types: str) -> dict[str, int]:
        """The most jobs that ever ran at once: of these types together, under "", and of each tenant."""
        running: defaultdict[str, int] = defaultdict(int)
        most: defaultdict[str, int] = defaultdict(int)
        for event in await self.events():
            if event.type in types and (event.is_claim or event.is_end):
                for key in {"", event.tenant}:
                    running[key] += 1 if event.is_claim else -1
                    most[key] = max(most[key], running[key])
        return dict(most)

    async def most_started(self, seconds: float, *types: str) -> int:
        """The most jobs of these types that started within any span of so many seconds."""
        starts = sorted(
            e.started_at.timestamp() for e in await self.events() if e.is_claim and e.started_at and e.type in types
        )
        return max((sum(1 for other in starts if start <= other < start + seconds) for start in starts), default=0)
