"""Adding jobs in the caller's own transaction.

A job exists if and only if that transaction commits, and no runner sees it earlier.  The transaction must be READ
COMMITTED (PostgreSQL's default): under a stricter level a racing enqueue of the same dedupe key cannot be seen.

The steps are written once, as a generator that asks for statements; :func:`enqueue` and :func:`enqueue_sync` only
differ in how they run what it asks for.
"""

from collections.abc import Generator, Iterable
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby
from operator import itemgetter
from typing import Any, cast

from leadjobs.core.clock import AHEAD
from leadjobs.core.job import Enqueued, JobId, NewJob, OnConflict, Verdict
from leadjobs.core.storable import storable_json
from leadjobs.errors import EnqueueError
from leadjobs.store.connection import Params, Rows, fetch_async, fetch_sync
from leadjobs.store.statements import Statement, statement

# A holder may end and let go of its key between our insert and our look: then we insert again.
MAX_ROUNDS = 5
_VERDICTS = {verdict.value: verdict for verdict in Verdict}

_Ask = tuple[Statement, Params]
_Key = tuple[str, str, str]  # type, tenant and dedupe key: what a held key is unique in


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
    """Add many jobs in the caller's transaction, with a few statements; the answers are in the jobs' order.

    See :func:`enqueue`.  Of several jobs with one dedupe key the first is added and the others are ignored, or, with
    ``on_conflict=REPLACE``, the last one's payload and time stand.  Keys are taken in one order, so that no two callers
    wait for each other: where those that ignore and those that replace take turns in it, each turn is a statement.
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


def _enqueue(jobs: list[NewJob]) -> Generator[_Ask, Rows, list[Enqueued]]:
    """Ask for the statements that add the jobs, and say what became of each.

    What can be refused is refused before anything is written: all payloads are made JSON first, and jobs without a key,
    which cannot fail, are added last.
    """
    alone = {place: job for place, job in enumerate(jobs) if job.dedupe_key is None}
    groups = _groups(jobs)
    inserts = [_insert(group.standing.values(), group.on_conflict) for group in groups]
    insert_alone = _insert(alone.values()) if alone else None
    answers: dict[int, Enqueued] = {}
    for group, insert in zip(groups, inserts, strict=True):
        answers |= yield from _enqueue_keyed(group, insert)
    if insert_alone:
        rows = yield insert_alone
        ids = sorted(JobId(row["id"]) for row in rows)
        answers |= {place: Enqueued(id_, Verdict.INSERTED) for place, id_ in zip(alone, ids, strict=True)}
    return [answers[place] for place in range(len(jobs))]


@dataclass(frozen=True, slots=True)
class _Group:
    """Jobs with keys that treat a held one alike; of each key one job stands."""

    on_conflict: OnConflict
    keys: dict[int, _Key]
    standing: dict[_Key, NewJob]


def _groups(jobs: list[NewJob]) -> list[_Group]:
    """The jobs with a key, in the one order in which all callers take keys: so no two of them wait for each other.

    The first job of each key stands, or the last where it replaces; of those of one key, those that ignore come first.
    """
    places: dict[tuple[_Key, bool], list[int]] = {}
    for place, job in enumerate(jobs):
        if job.dedupe_key is not None:
            key = (job.type, job.tenant, job.dedupe_key)
            places.setdefault((key, job.on_conflict is OnConflict.REPLACE), []).append(place)
    groups: list[_Group] = []
    for replaces, run in groupby(sorted(places), key=itemgetter(1)):
        of_key = {key: places[key, replaces] for key, _ in run}
        groups.append(
            _Group(
                OnConflict.REPLACE if replaces else OnConflict.IGNORE,
                {place: key for key, found in of_key.items() for place in found},
                {key: jobs[found[-1 if replaces else 0]] for key, found in of_key.items()},
            )
        )
    return groups


def _enqueue_keyed(group: _Group, insert: _Ask) -> Generator[_Ask, Rows, dict[int, Enqueued]]:
    """Add one group's jobs, or find those that hold their keys."""
    missing = group.standing
    found: dict[_Key, Enqueued] = {}
    for _ in range(MAX_ROUNDS):
        found |= _verdicts((yield insert))
        missing = {key: job for key, job in missing.items() if key not in found}
        if missing:
            found |= _verdicts((yield _find_holders(missing)))
            missing = {key: job for key, job in missing.items() if key not in found}
        if not missing:
            return _answers(group, found)
        insert = _insert(missing.values(), group.on_conflict)
    names = ", ".join(f"{type_}/{dedupe_key}" for type_, _, dedupe_key in list(missing)[:3])
    raise EnqueueError(f"cannot see who holds the dedupe key of {names}: enqueue in a READ COMMITTED transaction")


def _verdicts(rows: Rows) -> dict[_Key, Enqueued]:
    """What became of each key that a statement tells about."""
    return {
        (row["type"], row["tenant"], row["dedupe_key"]): Enqueued(row["id"], _VERDICTS[row["verdict"]]) for row in rows
    }


def _answers(group: _Group, found: dict[_Key, Enqueued]) -> dict[int, Enqueued]:
    """The answer to each of the group's jobs, by its place."""
    answers: dict[int, Enqueued] = {}
    answered: set[_Key] = set()
    for place, key in group.keys.items():
        answers[place] = _again(found[key], group.on_conflict) if key in answered else found[key]
        answered.add(key)
    return answers


def _again(found: Enqueued, on_conflict: OnConflict) -> Enqueued:
    """The answer to a key that came before in the same call: what enqueueing it afterwards would have said."""
    if on_conflict is OnConflict.IGNORE:
        return Enqueued(found.job_id, Verdict.IGNORED)
    return Enqueued(found.job_id, Verdict.REPLACED) if found.verdict is Verdict.INSERTED else found


def _insert(jobs: Iterable[NewJob], on_conflict: OnConflict = OnConflict.IGNORE) -> _Ask:
    """How to add the jobs: as the array that the statement unfolds, one bind in every driver's reach."""
    try:
        text = storable_json([_record(job) for job in jobs])
    except ValueError as error:
        raise EnqueueError(f"a payload {error}") from None
    return statement("enqueue" if on_conflict is OnConflict.IGNORE else "replace"), {"jobs": text}


def _find_holders(keys: Iterable[_Key]) -> _Ask:
    """How to find who holds the keys; their payloads went out with the insert, and need not go again."""
    asked = [{"type": type_, "tenant": tenant, "dedupe_key": dedupe_key} for type_, tenant, dedupe_key in keys]
    return statement("find_holders"), {"jobs": storable_json(asked)}


def _record(job: NewJob) -> dict[str, Any]:
    record: dict[str, Any] = {
        "lane": job.lane,
        "type": job.type,
        "tenant": job.tenant,
        "payload": job.payload if isinstance(job.payload, dict) else dict(job.payload),
        "dedupe_key": job.dedupe_key,
        "scope": job.scope,
    }
    if job.run_at is not None:
        record["run_at"] = job.run_at.isoformat()
    if job.delay is not None or AHEAD.span:
        record["delay"] = (AHEAD.span + (job.delay or timedelta())).total_seconds()
    return record
