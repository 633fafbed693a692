"""Adding jobs in the caller's own transaction.

A job exists if and only if that transaction commits, and no runner sees it earlier.  The transaction must be READ
COMMITTED (PostgreSQL's default): under a stricter level a racing enqueue of the same dedupe key cannot be seen.

The steps are written once, as a generator that asks for statements; :func:`enqueue` and :func:`enqueue_sync` only
differ in how they run what it asks for.
"""

from collections.abc import Collection, Generator, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

from leadjobs.core.clock import AHEAD
from leadjobs.core.job import Enqueued, JobId, NewJob, OnConflict, Verdict
from leadjobs.core.storable import storable_json
from leadjobs.errors import EnqueueError
from leadjobs.store.connection import Params, Rows, fetch_async, fetch_sync
from leadjobs.store.statements import Statement, statement

# A holder may end and let go of its key between our insert and our look: then we insert again.
MAX_ROUNDS = 5

_Steps = Generator[tuple[Statement, Params], Rows, list[Enqueued]]


async def enqueue(connection: Any, job: NewJob) -> Enqueued:
    """Add a job in the caller's transaction, or find the job that already stands for it.

    ``connection`` is a SQLAlchemy ``AsyncSession`` or ``AsyncConnection`` (drivers psycopg and asyncpg), or a psycopg
    ``AsyncConnection``.  The row appears when its transaction commits, and not before.  The answer says what happened
    and names the job; racing callers with one dedupe key get one job between them.

    Raises:
        EnqueueError: the connection is of no known kind, or its isolation level is stricter than READ COMMITTED.

    Example:
        >>> async def reply(session, lead_id):
        ...     session.add(...)                                          # your own rows
        ...     job = NewJob(type="SCORE", payload={"lead_id": lead_id}, dedupe_key=f"lead:{lead_id}")
        ...     await enqueue(session, job)
        ...     await session.commit()                                    # both, or neither
    """
    return (await enqueue_many(connection, [job]))[0]


async def enqueue_many(connection: Any, jobs: Iterable[NewJob]) -> list[Enqueued]:
    """Add many jobs in the caller's transaction, with a few statements in all; the answers are in the jobs' order.

    See :func:`enqueue`.  Of several jobs with one dedupe key the first is added and the others are ignored, or, with
    ``on_conflict=REPLACE``, the last one's payload and time stand.
    """
    steps = _enqueue(list(jobs))
    try:
        wanted = next(steps)
        while True:
            wanted = steps.send(await fetch_async(connection, *wanted))
    except StopIteration as end:
        return cast("list[Enqueued]", end.value)


def enqueue_sync(connection: Any, job: NewJob) -> Enqueued:
    """:func:`enqueue` for sync code.

    ``connection`` is a SQLAlchemy ``Session`` or ``Connection`` (drivers psycopg and psycopg2), or a psycopg
    ``Connection``.
    """
    return enqueue_many_sync(connection, [job])[0]


def enqueue_many_sync(connection: Any, jobs: Iterable[NewJob]) -> list[Enqueued]:
    """:func:`enqueue_many` for sync code."""
    steps = _enqueue(list(jobs))
    try:
        wanted = next(steps)
        while True:
            wanted = steps.send(fetch_sync(connection, *wanted))
    except StopIteration as end:
        return cast("list[Enqueued]", end.value)


@dataclass(frozen=True, slots=True)
class _Key:
    """What a dedupe key is unique in."""

    type: str
    tenant: str
    dedupe_key: str

    @classmethod
    def of(cls, job: NewJob) -> "_Key | None":
        return None if job.dedupe_key is None else cls(job.type, job.tenant, job.dedupe_key)


def _enqueue(jobs: list[NewJob]) -> _Steps:
    """Ask for the statements that add the jobs, and say what became of each.

    What can be refused is refused before anything is written: all payloads are made JSON first, and jobs without a key,
    which cannot fail, are added last.
    """
    alone = {place: job for place, job in enumerate(jobs) if job.dedupe_key is None}
    alone_json = _json(alone.values())
    groups = [_Group.of(jobs, on_conflict) for on_conflict in OnConflict]
    answers: dict[int, Enqueued] = {}
    for group in groups:
        answers |= yield from _enqueue_keyed(group)
    if alone:
        rows = yield statement("enqueue"), {"jobs": alone_json}
        ids = sorted(JobId(row["id"]) for row in rows)
        answers |= {place: Enqueued(id_, Verdict.INSERTED) for place, id_ in zip(alone, ids, strict=True)}
    return [answers[place] for place in range(len(jobs))]


@dataclass(frozen=True, slots=True)
class _Group:
    """The jobs with a key that treat a held one alike; of each key one job stands, in one order for all callers."""

    on_conflict: OnConflict
    jobs: dict[int, NewJob]
    standing: dict[_Key, NewJob]
    json: str

    @classmethod
    def of(cls, jobs: list[NewJob], on_conflict: OnConflict) -> "_Group":
        alike = {
            place: job
            for place, job in enumerate(jobs)
            if job.dedupe_key is not None and job.on_conflict is on_conflict
        }
        standing = _one_per_key(alike, on_conflict)
        ordered = dict(sorted(standing.items(), key=lambda item: (item[0].type, item[0].tenant, item[0].dedupe_key)))
        return cls(on_conflict, alike, ordered, _json(ordered.values()))


def _enqueue_keyed(group: _Group) -> Generator[tuple[Statement, Params], Rows, dict[int, Enqueued]]:
    """Add one group's jobs, or find those that hold their keys."""
    insert = statement("enqueue" if group.on_conflict is OnConflict.IGNORE else "replace")
    missing, text = group.standing, group.json
    found: dict[_Key, Enqueued] = {}
    for _ in range(MAX_ROUNDS):
        for ask in (insert, statement("find_holders")) if missing else ():
            rows = yield ask, {"jobs": text}
            found |= {_key_of(row): Enqueued(JobId(row["id"]), Verdict(row["verdict"])) for row in rows}
            missing = {key: job for key, job in missing.items() if key not in found}
            if not missing:
                break
            text = _json(missing.values())
    if missing:
        names = ", ".join(f"{key.type}/{key.dedupe_key}" for key in list(missing)[:3])
        raise EnqueueError(f"cannot see who holds the dedupe key of {names}: enqueue in a READ COMMITTED transaction")
    answers: dict[int, Enqueued] = {}
    answered: set[_Key] = set()
    for place, job in group.jobs.items():
        if (key := _Key.of(job)) is not None:
            answers[place] = _again(found[key], group.on_conflict) if key in answered else found[key]
            answered.add(key)
    return answers


def _one_per_key(jobs: dict[int, NewJob], on_conflict: OnConflict) -> dict[_Key, NewJob]:
    """The job that stands for each key: the first one, or the last where it replaces."""
    standing: dict[_Key, NewJob] = {}
    for job in jobs.values():
        if (key := _Key.of(job)) is not None and (key not in standing or on_conflict is OnConflict.REPLACE):
            standing[key] = job
    return standing


def _again(found: Enqueued, on_conflict: OnConflict) -> Enqueued:
    """The answer to a key that came before in the same call: what enqueueing it afterwards would have said."""
    if on_conflict is OnConflict.IGNORE:
        return Enqueued(found.job_id, Verdict.IGNORED)
    return Enqueued(found.job_id, Verdict.REPLACED) if found.verdict is Verdict.INSERTED else found


def _key_of(row: Any) -> _Key:
    return _Key(row["type"], row["tenant"], row["dedupe_key"])


def _json(jobs: Collection[NewJob]) -> str:
    """The jobs as the array that the statements unfold: one bind, in every driver's reach."""
    try:
        return storable_json([_record(job) for job in jobs])
    except ValueError as error:
        raise EnqueueError(f"a payload {error}") from None


def _record(job: NewJob) -> dict[str, Any]:
    delay = AHEAD.span + (job.delay or timedelta())
    return {
        "lane": job.lane,
        "type": job.type,
        "tenant": job.tenant,
        "payload": dict(job.payload),
        "dedupe_key": job.dedupe_key,
        "scope": job.scope,
        "run_at": job.run_at.isoformat() if job.run_at else None,
        "delay": delay.total_seconds() if delay else None,
    }
