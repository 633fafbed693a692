"""The operator's statements on single jobs: look at them, retry, cancel and delete them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from leadjobs.core.job import JobId, State
from leadjobs.core.progress import Progress
from leadjobs.errors import EffectUnknownError, JobNotFoundError, StoreError
from leadjobs.store.connection import OwnConnection, fetch_async
from leadjobs.store.effect_desk import EffectDesk, EffectLine
from leadjobs.store.statements import statement


@dataclass(frozen=True, slots=True, kw_only=True)
class JobLine:
    """A job in a list; ``progress`` is how far it is, as its run said at ``progress_at``."""

    id: JobId
    lane: str
    type: str
    tenant: str
    state: State
    reason: str | None
    attempts: int
    generation: int
    run_at: datetime
    lease_until: datetime | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    progress: Progress | None
    progress_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptLine:
    """What went wrong in one run."""

    generation: int
    lease_no: int
    ended_as: str
    error_type: str | None
    error: str | None
    trace: str | None
    started_at: datetime | None
    ended_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSheet(JobLine):
    """All that is known of a job."""

    payload: Mapping[str, Any]
    dedupe_key: str | None
    scope: str
    losses: int
    lease_no: int
    result: Any
    history: Sequence[AttemptLine] = ()
    effects: Sequence[EffectLine] = ()


def parts_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row as what a line or a sheet is made of."""
    progress = row["progress"]
    return {**row, "state": State(row["state"]), "progress": progress and Progress(**progress)}


class Desk:
    """Looks at jobs and acts on them, on one connection of our own."""

    def __init__(self, connection: OwnConnection) -> None:
        self._connection = connection

    async def _rows(self, name: str, **params: Any) -> Sequence[Mapping[str, Any]]:
        return await fetch_async(self._connection, statement(name), params)

    async def list_jobs(
        self, *, state: State | None = None, type_name: str | None = None, tenant: str | None = None, most: int = 50
    ) -> list[JobLine]:
        """The newest jobs that fit the filters."""
        rows = await self._rows("list_jobs", state=state, type=type_name, tenant=tenant, max_jobs=most)
        return [JobLine(**parts_of(row)) for row in rows]

    async def show(self, job_id: JobId) -> JobSheet:
        """One job with what went wrong in its runs, and its effects, newest first.

        Raises:
            JobNotFoundError: there is none with this id.
        """
        rows = await self._rows("find_job", id=job_id)
        if not rows:
            raise JobNotFoundError(f"there is no job {job_id}")
        history = [AttemptLine(**row) for row in await self._rows("find_attempts", id=job_id)]
        effects = await EffectDesk(self._connection).list_effects(job_id=job_id)
        return JobSheet(**parts_of(rows[0]), history=history, effects=effects)

    async def cancel(self, job_id: JobId, *, by: str) -> None:
        """Cancel a job that has not ended; a running one loses its lease, and its handler is cancelled within a second.

        Raises:
            JobNotFoundError: there is none with this id.
            StoreError: it has ended already.
        """
        if not await self._rows("cancel", id=job_id, reason=f"cancelled by {by}", now=None):
            job = await self.show(job_id)
            raise StoreError(f"job {job_id} has ended already: {job.state}")

    async def retry(self, job_id: JobId, *, by: str) -> None:
        """Make a job due now, with all its attempts; one that has ended begins a new generation.

        Raises:
            JobNotFoundError: there is none with this id.
            StoreError: it is running, or another unfinished job holds its dedupe key.
            EffectUnknownError: nobody knows whether one of its effects was made; a new generation would make it again.
        """
        try:
            async with self._connection.transaction():
                await self._rows("lock_job", id=job_id)
                rows = await self._rows("retry", id=job_id, reason=f"retried by {by}", now=None)
        except psycopg.errors.UniqueViolation:
            raise StoreError(
                f"another unfinished job holds the dedupe key of job {job_id}: retry or cancel that one"
            ) from None
        if not rows:
            job = await self.show(job_id)
            if unknown := [e.name for e in job.effects if e.is_unknown and e.generation == job.generation]:
                raise EffectUnknownError(
                    f"nobody knows whether {unknown[0]} of job {job_id} was sent, and a retry would send it again: say "
                    f"`leadjobs effects mark-sent {job_id} {unknown[0]}` or "
                    f"`leadjobs effects send-again {job_id} {unknown[0]}` first"
                )
            raise StoreError(f"job {job_id} is {job.state}: cancel it first, or wait for its lease to end")

    async def delete(self, job_id: JobId) -> None:
        """Delete a job that has ended, with its attempts and steps; its dedupe key is free again.

        Raises:
            JobNotFoundError: there is none with this id.
            StoreError: it has not ended.
        """
        if not await self._rows("delete", id=job_id):
            job = await self.show(job_id)
            raise StoreError(f"job {job_id} is {job.state}: cancel it first, or wait until it has ended")
