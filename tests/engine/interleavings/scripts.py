"""Short scripts of the engine's real statements: what owners, runners, callers and operators do to one job."""

import json
from typing import Any

import psycopg
from tests.engine.history import signature
from tests.engine.interleavings.stepping import Part, Script, Steps, script

from leadjobs import Done, Lane, NewJob, OnConflict, RetryPolicy, enqueue
from leadjobs.core.ending import Ending, Run, endings_json
from leadjobs.core.job import DedupeScope, Lease
from leadjobs.core.limit import Limit, NamedLimit
from leadjobs.core.plan import Share, Stream
from leadjobs.store.limits import LimitStore

KEY, LEASE_SECONDS, UNIT = "k", 60.0, "tokens"
MAX_LOSSES = 100
LANES = (Lane.LIVE, Lane.RETRY, Lane.ALONE)
LIMIT = NamedLimit("SEND", Limit(running=1), ("SEND",), None)


def new_job(n: int, on_conflict: OnConflict = OnConflict.IGNORE) -> NewJob:
    return NewJob(
        type="SEND", payload={"n": n}, dedupe_key=KEY, scope=DedupeScope.LIVE, on_conflict=on_conflict, tenant="t"
    )


def shares(slots: int = 1) -> list[Share]:
    return [Share(Stream(lane, "SEND", "t"), slots) for lane in LANES]


def done(lease: Lease) -> Ending:
    """The ending of a run that went well, signed with its lease."""
    return Run(lease, 0, RetryPolicy()).said(Done(signature(lease.lease_no)))


# The owner of the lease that there was in the beginning.


@script(2)
async def owner_settles(part: Part) -> Steps:
    part.settled = await part.store.settle([done(part.world.lease)])
    yield
    await part.commit()


@script(1)
async def owner_settles_at_once(part: Part) -> Steps:
    part.settled = await part.store.settle([done(part.world.lease)])
    await part.commit()
    for _ in range(0):  # no step but this one
        yield


@script(3)
async def owner_commits(part: Part) -> Steps:
    """Own rows, and the end of the job, as Job.commit does it."""
    lease = part.world.lease
    await part.connection.execute("INSERT INTO own VALUES (%s, %s)", lease)
    if not await part.rows("fence", id=lease.job_id, lease_no=lease.lease_no):
        await part.connection.rollback()
        return
    yield
    rows = await part.rows("settle", endings=endings_json([done(lease)]), now=part.world.clock.database_now())
    part.settled = {row["id"] for row in rows}
    yield
    await part.commit()


def _owners(called: str, statement_name: str, /, **binds: Any) -> Script:
    """One of the statements by which an owner writes something beside the job."""

    async def run(part: Part) -> Steps:
        lease = part.world.lease
        await part.rows(statement_name, id=lease.job_id, lease_no=lease.lease_no, generation=1, **binds)
        yield
        await part.commit()

    run.__name__ = called
    return Script(2, run)


owner_keeps_a_step = _owners("owner_keeps_a_step", "keep_step", name="part", result="1")
owner_intends = _owners("owner_intends", "intend_effect", name="sms", tag="tag", not_sent_under=None)
owner_reserves = _owners(
    "owner_reserves", "reserve_spend", what="", now=None, asked=json.dumps([{"unit": UNIT, "amount": 6}])
)


def reserver(place: int) -> Script:
    """The owner of one of several leases spends, and says what it came to."""

    async def reserves(part: Part) -> Steps:
        lease = part.world.leases[place]
        binds = {"id": lease.job_id, "lease_no": lease.lease_no}
        asked = json.dumps([{"unit": UNIT, "amount": 6}])
        rows = await part.rows("reserve_spend", **binds, generation=1, what="", now=None, asked=asked)
        yield
        await part.commit()
        part.was_refused = not rows
        if rows and place == 0:
            yield
            await part.rows("settle_spend", **binds, told=json.dumps([{"id": rows[0]["id"], "actual": 2}]))
            await part.commit()

    return Script(3 if place == 0 else 2, reserves)


# Runners.


@script(2)
async def runner_rescues(part: Part) -> Steps:
    await part.store.rescue(max_losses=MAX_LOSSES)
    yield
    await part.commit()


@script(2)
async def runner_claims(part: Part) -> Steps:
    is_held = any(other.name == "operator_holds" for other in part.world.committed)
    part.claimed = [job.lease for job in await part.store.claim(shares(), {}, {"SEND": LEASE_SECONDS})]
    assert not (is_held and part.claimed), "claimed what is held"
    yield
    await part.commit()


@script(3)
async def runner_claims_under_a_limit(part: Part) -> Steps:
    await part.connection.set_autocommit(True)
    try:
        async with LimitStore(part.connection, part.world.clock).locked([LIMIT]) as rooms:
            yield
            if (left := rooms.rooms[LIMIT.name].left) > 0:
                found = await part.store.claim(shares()[:1], {}, {"SEND": LEASE_SECONDS})
                part.claimed = [job.lease for job in found]
                assert len(found) <= left
            yield
    finally:
        await part.connection.set_autocommit(False)


# Callers.


def _caller(name: str, on_conflict: OnConflict, *, is_undone: bool = False) -> Script:
    async def run(part: Part) -> Steps:
        part.verdict = (await enqueue(part.connection, new_job(part.payload, on_conflict))).verdict
        yield
        if not is_undone:
            await part.commit()
        else:
            await part.connection.rollback()

    run.__name__ = name
    return Script(2, run)


caller_enqueues = _caller("caller_enqueues", OnConflict.IGNORE)
caller_replaces = _caller("caller_replaces", OnConflict.REPLACE)
caller_replaces_and_rolls_back = _caller("caller_replaces_and_rolls_back", OnConflict.REPLACE, is_undone=True)


# Operators.


def _operator(called: str, statement_name: str, /, **more: Any) -> Script:
    async def run(part: Part) -> Steps:
        (job,) = await (await part.world.db.execute("SELECT min(id) AS id FROM background_job")).fetchall()
        now = part.world.clock.database_now()
        try:
            await part.rows(statement_name, **({"id": job["id"], "reason": called, "now": now} | more))
        except psycopg.errors.UniqueViolation:  # another unfinished job holds the key by now
            part.was_refused = True
            await part.connection.rollback()
            return
        yield
        await part.commit()

    run.__name__ = called
    return Script(2, run)


operator_cancels = _operator("operator_cancels", "cancel")
operator_retries = _operator("operator_retries", "retry")
operator_deletes = _operator("operator_deletes", "delete")
operator_holds = _operator("operator_holds", "put_hold", name="SEND", seconds=None)
