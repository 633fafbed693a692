"""Which streams have due work: beside those that are known to, and whatever lies dead at their heads."""

import random
from typing import TYPE_CHECKING

import psycopg
from tests.engine.store.plans import Recorder, plan_of

from leadjobs import Lane, NewJob, enqueue_many
from leadjobs.core.ending import Run
from leadjobs.core.outcome import Done
from leadjobs.core.plan import Share, Stream
from leadjobs.core.retry import RetryPolicy
from leadjobs.store.jobs import JobStore

if TYPE_CHECKING:
    from tests.engine.store.conftest import Shelf

# Neighbours in the order of bytes, the first and the last of all.
TENANTS = ["", "\x01", "a", "a\x01", "a\x01\x01", "a\x02", "aa", "b", "é", "\U0010ffff"]
TYPES = ["SEND", "SENDS", "WAVE"]


async def test_between_what_is_known_everything_else_is_found(shelf: "Shelf") -> None:
    """Whatever there is, and whatever of it the caller knows: the rest, all of it, and nothing twice."""
    dice = random.Random(7)
    streams = [Stream(lane, type_, tenant) for lane in (Lane.LIVE, Lane.RETRY) for type_ in TYPES for tenant in TENANTS]
    for _ in range(60):
        due = dice.sample(streams, dice.randint(0, 30))
        known = dice.sample(streams, dice.randint(0, 20))
        await shelf.db.execute("DELETE FROM background_job")
        await enqueue_many(shelf.db, [NewJob(type=each.type, tenant=each.tenant) for each in due])
        lanes = [each.lane for each in due]
        await shelf.db.execute(
            "UPDATE background_job SET lane = chosen.lane FROM (SELECT id, lane FROM ROWS FROM"
            " (unnest((SELECT array_agg(id ORDER BY id) FROM background_job)), unnest(%s::text[])) AS one (id, lane))"
            " AS chosen WHERE background_job.id = chosen.id",
            [lanes],
        )

        found = (await shelf.store.discover(TYPES, known)).streams

        assert sorted(set(due) - set(known)) == sorted(found)


async def test_what_was_claimed_of_a_known_stream_is_not_passed_again(recorder: Recorder, url: str) -> None:
    """A snapshot that somebody holds keeps 3,000 dead entries at the head; a look passes them only where it must."""
    store, stream, policy = JobStore(recorder), Stream(Lane.LIVE, "SEND", "big"), RetryPolicy()
    await enqueue_many(recorder, [NewJob(type="SEND", tenant="big") for _ in range(3010)])
    async with await psycopg.AsyncConnection.connect(url) as reader:
        await reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        await reader.execute("SELECT FROM background_job")
        claimed = await store.claim([Share(stream, 3000)], {}, {"SEND": 60.0})
        await store.settle([Run(job.lease, 0, policy).said(Done()) for job in claimed])
        await enqueue_many(recorder, [NewJob(type="SEND", tenant="new")])

        beside = await plan_of(recorder, store.discover(["SEND"], [stream]))
        all_of_them = await plan_of(recorder, store.discover(["SEND"]))

    assert (["new"], ["big", "new"]) == (
        [each.tenant for each in (await store.discover(["SEND"], [stream])).streams],
        sorted(each.tenant for each in (await store.discover(["SEND"])).streams),
    )
    assert beside.buffers + 50 < all_of_them.buffers, (beside, all_of_them)
