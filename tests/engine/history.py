"""What happened to every job, as the database saw it: each change of a state or a lease, with its time and transaction.

Install it before a race, and check it afterwards: it finds what a test's own counting would miss.  It also keeps what
runs wrote under their leases (steps, intents, amounts) beside the number that the lease had at that moment.
"""

import re
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import class_row

INSTALL = """
CREATE TABLE history (
    no bigint GENERATED ALWAYS AS IDENTITY, job_id bigint, type text, tenant text, was text, state text,
    lease_was integer, lease_no integer, at timestamptz DEFAULT clock_timestamp(), started_at timestamptz, reason text
);
CREATE FUNCTION keep_history() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO history (job_id, type, tenant, was, state, lease_was, lease_no, started_at, reason)
    VALUES (new.id, new.type, new.tenant, old.state, new.state, old.lease_no, new.lease_no, new.started_at, new.reason);
    RETURN NULL;
END $$;
CREATE TRIGGER keep_history AFTER UPDATE ON background_job FOR EACH ROW
    WHEN (old.state <> new.state OR old.lease_no <> new.lease_no) EXECUTE FUNCTION keep_history();
CREATE TABLE lease_write (
    kind text, job_id bigint, generation integer, name text, lease_no integer, owner integer
);
CREATE FUNCTION keep_lease_write() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO lease_write (kind, job_id, generation, name, lease_no, owner)
    VALUES (tg_table_name, new.job_id, new.generation, coalesce(to_jsonb(new) ->> 'name', to_jsonb(new) ->> 'id'),
            new.lease_no, (SELECT lease_no FROM background_job WHERE id = new.job_id));
    RETURN NULL;
END $$;
CREATE TRIGGER keep_lease_write AFTER INSERT OR UPDATE ON job_step FOR EACH ROW EXECUTE FUNCTION keep_lease_write();
CREATE TRIGGER keep_lease_write AFTER INSERT OR UPDATE ON job_spend FOR EACH ROW EXECUTE FUNCTION keep_lease_write();
CREATE TRIGGER keep_lease_write AFTER INSERT OR UPDATE ON job_effect FOR EACH ROW
    WHEN (new.state = 'intended') EXECUTE FUNCTION keep_lease_write();
"""
SIGNATURE = re.compile(r"by lease (\d+)\b")
TOLD = re.compile(
    r"^\S+ (?:was sent|is sent again), says "
)  # what a person says of an effect counts as a change of its job


def signature(lease_no: int) -> str:
    """What a handler puts into the reason of its outcome, so that the history shows whose ending it was."""
    return f"by lease {lease_no}"


@dataclass(frozen=True, slots=True)
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
    reason: str | None

    @property
    def is_claim(self) -> bool:
        return self.state == "RUNNING" and self.was != "RUNNING"

    @property
    def is_end(self) -> bool:
        return self.was == "RUNNING" and self.state != "RUNNING"

    @property
    def is_begun_anew(self) -> bool:
        """Has a person made a job due that had ended?  That leaves its lease as it was, or says what they know."""
        is_due_again = self.was not in {"PENDING", "RUNNING"} and self.state == "PENDING"
        return is_due_again and (self.lease_no == self.lease_was or TOLD.search(self.reason or "") is not None)

    @property
    def signed_by(self) -> int | None:
        """The lease number in the reason that a run gave, where it signs what it says; None for a claim's."""
        found = SIGNATURE.search(self.reason or "")
        return int(found[1]) if found and not self.is_claim else None


@dataclass(frozen=True, slots=True)
class LeaseWrite:
    """What a run wrote under its lease, and the number that the job's lease had then."""

    kind: str
    job_id: int
    generation: int
    name: str
    lease_no: int
    owner: int | None


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
        """What breaks G3 and G4: see :func:`violations_of_leases` and :func:`violations_of_writes`."""
        async with self._db.cursor(row_factory=class_row(LeaseWrite)) as cursor:
            writes = await (await cursor.execute("SELECT * FROM lease_write")).fetchall()
        return violations_of_leases(await self.events()) + violations_of_writes(writes)

    async def most_running(self, *types: str) -> dict[str, int]:
        """The most jobs that ever ran at once: of these types together, under "", and of each tenant."""
        return most_running(await self.events(), *types)

    async def most_started(self, seconds: float, *types: str) -> int:
        """The most jobs of these types that started within any span of so many seconds."""
        return most_started(await self.events(), seconds, *types)


def violations_of_leases(events: Sequence[Event]) -> list[str]:
    """A claim of what was not waiting, a lease that did not grow, an end without a claim or by a former owner."""
    found: list[str] = []
    last: dict[int, Event] = {}
    for event in events:
        before = last.get(event.job_id)
        was = ("PENDING", 0) if before is None else (before.state, before.lease_no)
        job = f"job {event.job_id} ({event.type})"
        if event.lease_no != event.lease_was + 1 and not event.is_begun_anew:
            found.append(f"{job}: the lease number went from {event.lease_was} to {event.lease_no}")
        if was != (event.was, event.lease_was):
            found.append(f"{job}: {was[0]}/{was[1]} became {event.was}/{event.lease_was}")
        if event.is_claim and event.was != "PENDING":
            found.append(f"{job}: claimed while {event.was}")
        if event.was in {"SUCCEEDED", "FAILED", "CANCELLED"} and not event.is_begun_anew:
            found.append(f"{job}: {event.was} became {event.state}")
        if event.signed_by is not None and (event.was, event.signed_by) != ("RUNNING", event.lease_was):
            found.append(f"{job}: {event.was} under lease {event.lease_was}, ended by lease {event.signed_by}")
        last[event.job_id] = event
    return found


def violations_of_writes(writes: Sequence[LeaseWrite]) -> list[str]:
    """What was written under a lease that was over, and steps that were kept more than once."""
    found = [
        f"job {each.job_id}: {each.kind} {each.name} written under lease {each.lease_no}, the owner's is {each.owner}"
        for each in writes
        if each.lease_no != each.owner
    ]
    steps = Counter((each.job_id, each.generation, each.name) for each in writes if each.kind == "job_step")
    found += [f"job {step[0]}: step {step[2]} was kept {times} times" for step, times in steps.items() if times > 1]
    return found


def most_running(events: Sequence[Event], *types: str) -> dict[str, int]:
    """The most jobs that ever ran at once: of these types together, under "", and of each tenant."""
    running: defaultdict[str, int] = defaultdict(int)
    most: defaultdict[str, int] = defaultdict(int)
    for event in events:
        if event.type in types and (event.is_claim or event.is_end):
            for key in {"", event.tenant}:
                running[key] += 1 if event.is_claim else -1
                most[key] = max(most[key], running[key])
    return dict(most)


def most_started(events: Sequence[Event], seconds: float, *types: str) -> int:
    """The most jobs of these types that started within any span of so many seconds."""
    starts = sorted(e.started_at.timestamp() for e in events if e.is_claim and e.started_at and e.type in types)
    return max((bisect_left(starts, start + seconds) - place for place, start in enumerate(starts)), default=0)
