"""Two and three transactions on one job, in every order of their steps: what must hold, holds after each.

One owner at most, lease numbers that grow by one, no write of a former owner, one unfinished job for a key, and nothing
lost: afterwards all that was committed runs to its end.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import timedelta
from itertools import combinations_with_replacement

import psycopg
import pytest
from psycopg.rows import DictRow
from tests.engine.history import most_running
from tests.engine.interleavings.scripts import (
    LEASE_SECONDS,
    LIMIT,
    MAX_LOSSES,
    caller_enqueues,
    caller_replaces,
    caller_replaces_and_rolls_back,
    done,
    new_job,
    operator_cancels,
    operator_deletes,
    operator_holds,
    operator_retries,
    owner_commits,
    owner_intends,
    owner_keeps_a_step,
    owner_reserves,
    owner_settles,
    owner_settles_at_once,
    reserver,
    runner_claims,
    runner_claims_under_a_limit,
    runner_rescues,
    shares,
)
from tests.engine.interleavings.stepping import Part, Script, Theatre, World, orders

from leadjobs import NewJob, OnConflict, enqueue, enqueue_many
from leadjobs.store.jobs import JobStore
from leadjobs.store.limits import LimitStore

Db = psycopg.AsyncConnection[DictRow]
Scene = Callable[[World], Awaitable[None]]
HOUR = timedelta(hours=1)
LIVE = "SELECT id, state FROM background_job WHERE state IN ('PENDING', 'RUNNING')"

OWNERS = (owner_settles, owner_commits, owner_keeps_a_step, owner_intends, owner_reserves)
CALLERS = (caller_enqueues, caller_replaces, caller_replaces_and_rolls_back)
RUNNERS = (runner_claims, runner_rescues)
OPERATORS = (operator_cancels, operator_retries)


async def waiting(world: World) -> None:
    """One job that waits."""
    await enqueue(world.db, new_job(0))


async def lost(world: World) -> None:
    """One job that runs, under a lease whose time is over, while its owner lives."""
    await waiting(world)
    claimed = await JobStore(world.db, world.clock).claim(shares(), {}, {"SEND": LEASE_SECONDS})
    world.leases += [job.lease for job in claimed]
    world.clock.advance(HOUR)


async def failed(world: World) -> None:
    """One job that has failed, and let go of its key."""
    await lost(world)
    await world.db.execute("UPDATE background_job SET state = 'FAILED', lease_no = 2, lease_until = NULL")
    world.leases.clear()


def pairs(*scripts: Script) -> Iterable[Sequence[Script]]:
    return combinations_with_replacement(scripts, 2)


SCENES: dict[str, tuple[Scene, Iterable[Sequence[Script]]]] = {
    "an owner whose time is over, and anybody": (
        lost,
        [(owner, other) for owner in OWNERS for other in (*RUNNERS, *CALLERS, *OPERATORS)],
    ),
    "an owner, a rescue and a claim": (
        lost,
        [(owner, runner_rescues, runner_claims) for owner in (owner_settles, owner_keeps_a_step)],
    ),
    "an owner's commit, a rescue and a claim": (lost, [(owner_commits, runner_rescues, runner_claims)]),
    "an end, and two who disagree about what is next": (
        lost,
        [
            (owner_settles, runner_rescues, caller_replaces),
            (owner_settles, operator_cancels, caller_replaces),
            (runner_rescues, operator_cancels, caller_replaces),
        ],
    ),
    "others on a job that is lost": (lost, pairs(*RUNNERS, *CALLERS, *OPERATORS)),
    "a job that waits": (waiting, pairs(runner_claims, operator_holds, *CALLERS, *OPERATORS)),
    "a job that waits, and three": (
        waiting,
        [(runner_claims, runner_claims, caller_replaces), (runner_claims, operator_cancels, caller_replaces)],
    ),
    "a job that has failed": (failed, pairs(runner_claims, operator_deletes, *CALLERS, *OPERATORS)),
    "a job that has failed, and three": (
        failed,
        [(operator_retries, caller_enqueues, runner_claims), (operator_retries, operator_deletes, caller_replaces)],
    ),
}


@pytest.mark.parametrize("name", SCENES)
async def test_what_must_hold_holds_in_every_order(name: str, url: str, db: Db) -> None:
    """Every order of the steps of each group of scripts; a failure names the group and the order."""
    scene, groups = SCENES[name]
    async with Theatre(url, db) as theatre:
        for scripts in groups:
            for order in orders([each.steps for each in scripts]):
                world = await theatre.empty()
                await scene(world)
                parts = await theatre.play(world, scripts, order)
                found = await _violations(theatre, world, parts)
                assert [] == found, f"{' | '.join(each.name for each in scripts)} in the order {order}"


async def _violations(theatre: Theatre, world: World, parts: Sequence[Part]) -> list[str]:
    """What does not hold after an interleaving, and after all that is left was run."""
    events = await theatre.history.events()
    ended = {(event.job_id, event.lease_was) for event in events if event.signed_by is not None}
    found = [
        f"{part.name} was told that it settled, and did not"
        for part in parts
        if part.settled and part.is_committed and not {(job_id, 1) for job_id in part.settled} <= ended
    ]
    if ended and not any(part.settled and part.is_committed for part in parts):
        found.append("somebody ended the job, and nobody was told")
    own = await _rows(world, "SELECT job_id, lease_no FROM own")
    committed = any(part.name == "owner_commits" and part.is_committed for part in parts)
    if len(own) != committed or any((row["job_id"], row["lease_no"]) not in ended for row in own):
        found.append(f"own rows are {own}")
    if len(await _rows(world, LIVE)) > 1:
        found.append("two unfinished jobs for one key")
    ran = await _run_all(world)
    if left := await _rows(world, LIVE):
        found.append(f"left: {left}")
    return (
        found
        + _lost_requests(world, ran, await _rows(world, "SELECT state FROM background_job"))
        + (await theatre.history.violations())
    )


def _lost_requests(world: World, ran: list[int], jobs: Sequence[DictRow]) -> list[str]:
    """The newest payload that was taken must run, unless a person has said otherwise."""
    if any(job["state"] == "CANCELLED" for job in jobs):
        return []
    taken = [part.payload for part in world.committed if part.verdict is not None and part.verdict != "ignored"]
    return [f"payload {taken[-1]} was taken, and {ran} ran"] if taken and taken[-1] not in ran else []


async def _run_all(world: World) -> list[int]:
    """Let time pass, take back what is lost, and run all that waits; the payloads that ran."""
    ran: list[int] = []
    store = JobStore(world.db, world.clock)
    await world.db.execute("DELETE FROM job_hold")
    for _ in range(4):
        if not await _rows(world, LIVE):
            break
        world.clock.advance(HOUR)
        await store.rescue(max_losses=MAX_LOSSES)
        claimed = await store.claim(shares(5), {}, {"SEND": LEASE_SECONDS})
        ran += [_number(job.payload) for job in claimed]
        await store.settle([done(job.lease) for job in claimed])
    return ran


def _number(payload: str) -> int:
    return int("".join(filter(str.isdigit, payload)))


async def _rows(world: World, query: str) -> Sequence[DictRow]:
    return await (await world.db.execute(query.encode())).fetchall()


async def test_a_cap_holds_in_every_order(url: str, db: Db) -> None:
    """Three jobs of one tenant ask for 6 of 14 at once, and one of them gives some back."""
    await db.execute("INSERT INTO job_budget (tenant, unit, cap_per_day) VALUES ('t', 'tokens', 14)")
    scripts = [reserver(place) for place in range(3)]
    async with Theatre(url, db) as theatre:
        for order in orders([each.steps for each in scripts]):
            world = await theatre.empty()
            await enqueue_many(db, [NewJob(type="SEND", tenant="t", payload={"n": n}) for n in range(3)])
            claimed = await JobStore(db, world.clock).claim(shares(3), {}, {"SEND": LEASE_SECONDS})
            world.leases += [job.lease for job in claimed]
            parts = await theatre.play(world, scripts, order)

            (day,) = await _rows(world, "SELECT used FROM job_budget_day")
            (ledger,) = await _rows(world, "SELECT sum(coalesce(actual, reserved)) AS used FROM job_spend")
            assert day["used"] == ledger["used"] <= 14, order
            assert [part.was_refused for part in parts].count(True) <= 1, order
            assert [] == await theatre.history.violations()


async def test_a_limit_holds_in_every_order(url: str, db: Db) -> None:
    """Two runners claim under a limit of one, and the job that runs ends meanwhile: never two at once."""
    async with Theatre(url, db) as theatre:
        for scripts in ([runner_claims_under_a_limit] * 2, [runner_claims_under_a_limit] * 2 + [owner_settles_at_once]):
            for order in orders([each.steps for each in scripts]):
                world = await theatre.empty()
                await enqueue_many(db, [NewJob(type="SEND", tenant="t", payload={"n": n}) for n in range(4)])
                if owner_settles_at_once in scripts:
                    (job,) = await JobStore(db, world.clock).claim(shares()[:1], {}, {"SEND": LEASE_SECONDS})
                    world.leases.append(job.lease)
                await LimitStore(db, world.clock)._declare([LIMIT])
                await theatre.play(world, scripts, order)

                assert most_running(await theatre.history.events(), "SEND")[""] == 1, order
                assert [] == await theatre.history.violations(), order


async def test_a_replacement_is_never_lost_to_a_rollback(url: str, db: Db) -> None:
    """Two callers of one key that nobody holds, one of whom undoes it: the other's job is there, once."""
    async with Theatre(url, db) as theatre:
        for scripts in ((caller_replaces, caller_replaces_and_rolls_back), (caller_enqueues, caller_enqueues)):
            for order in orders([each.steps for each in scripts]):
                world = await theatre.empty()
                parts = await theatre.play(world, scripts, order)
                assert 1 == len(await _rows(world, "SELECT id FROM background_job")), order
                assert [] == await _violations(theatre, world, parts), order
    assert (await enqueue(db, new_job(1, OnConflict.REPLACE))).verdict == "inserted"
