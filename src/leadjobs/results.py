"""What became of a job, for those who enqueued it: its state, how far it is, and its result."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from leadjobs.core.job import JobId, State
from leadjobs.core.progress import Progress
from leadjobs.errors import JobNotFoundError
from leadjobs.store.connection import Rows, fetch_async, fetch_sync
from leadjobs.store.statements import statement


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundJob:
    """A job as it stands: ``reason`` says why it is in its state, ``progress`` how far it is, since ``progress_at``.

    ``result`` is what its handler returned as ``Done(result=…)``; None where there is none (yet).  Progress and result
    are of this ``generation``.
    """

    id: JobId
    type: str
    tenant: str
    state: State
    reason: str | None
    generation: int
    run_at: datetime
    finished_at: datetime | None
    progress: Progress | None
    progress_at: datetime | None
    result: Any

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """The job of a row of find_result.sql, where JSON is text for every driver."""
        progress, result = (None if row[name] is None else json.loads(row[name]) for name in ("progress", "result"))
        more = {"progress": progress and Progress(**progress), "result": result, "state": State(row["state"])}
        return cls(**{**row, **more})


async def find_job(connection: Any, job_id: int) -> FoundJob:
    """What became of a job.  ``connection`` is what :func:`enqueue` takes.

    Anybody may be asking: compare ``tenant`` before you show it.

    Raises:
        JobNotFoundError: there is none with this id (any more).
    """
    return _found(job_id, await fetch_async(connection, statement("find_result"), {"id": job_id}))


def find_job_sync(connection: Any, job_id: int) -> FoundJob:
    """:func:`find_job` for sync connections and sessions."""
    return _found(job_id, fetch_sync(connection, statement("find_result"), {"id": job_id}))


def _found(job_id: int, rows: Rows) -> FoundJob:
    if not rows:
        raise JobNotFoundError(f"there is no job {job_id}")
    return FoundJob.of(rows[0])
