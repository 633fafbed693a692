"""Many jobs at once: what a filter finds, in groups, and acting on exactly that while runners run."""

import asyncio
from datetime import timedelta
from typing import Any, LiteralString

import psycopg
import pytest
from psycopg.rows import DictRow

from leadjobs import Done, GiveUp, JobId, NewJob, OnConflict, State, enqueue
from leadjobs.errors import JobNotFoundError, StoreError
from leadjobs.store import dead_letters
from leadjobs.store.connection import connect
from leadjobs.store.dead_letters import Acted, Action, BulkDesk, JobFilter, Look, fold
from leadjobs.store.desk import Desk
from leadjobs.store.effect_desk import EffectDesk

Other = psycopg.AsyncConnection[DictRow]
Shelf = Any  # of conftest.py

HOUR = timedelta(hours=1)
FAILED = JobFilter(states=(State.FAILED,))


async def failed(shelf: Shelf, reason: str = "gave up", **more: Any) -> JobId:
    """A job that has just ended FAILED, by a claim and a settle."""
    job_id: JobId = await shelf.add(**more)
    (row,) = await shelf.rows(
        "UPDATE background_job SET state = 'FAILED', reason = %s, attempts = 3, lease_no = 2, finished_at = %s"
        " WHERE id = %s RETURNING id",
        reason,
        shelf.clock.database_now(),
        job_id,
    )
    return JobId(row["id"])


def desk(shelf: Shelf) -> BulkDesk:
    return BulkDesk(shelf.db, shelf.clock)


async def ids(shelf: Shelf, wanted: JobFilter, most: int = 100) -> list[int]:
    """The ids of what a filter finds."""
    return [job.id for job in (await desk(shelf).look(wanted, most=most)).jobs]


async def act(shelf: Shelf, action: Action, look: Look) -> Acted:
    """Do it, to the end."""
    acted = Acted()
    async for each in desk(shelf).act(action, look, by="ada"):
        acted = each
    return acted


async def states(shelf: Shelf) -> list[str]:
    """The states of all jobs, by id."""
    return [row["state"] for row in await shelf.rows("SELECT state FROM background_job ORDER BY id")]


async def test_a_filter_finds_what_fits_all_its_parts(shelf: Shelf) -> None:
    """State, type, tenant, a part of the reason in any case, and when it ended; newest first."""
    old = await failed(shelf, "HTTP 503 from acme")
    shelf.clock.advance(2 * HOUR)
    acme = await failed(shelf, "Http 502 from ACME", tenant="acme")
    wave = await failed(shelf, "100% wrong_", type="WAVE")
    await shelf.add()
    assert [wave, acme, old] == await ids(shelf, FAILED)
    parts: list[tuple[dict[str, Any], list[JobId]]] = [
        ({"type_name": "WAVE"}, [wave]),
        ({"tenant": "acme"}, [acme]),
        ({"tenant": ""}, [wave, old]),
        ({"reason": "from acme"}, [acme, old]),
        ({"reason": "HTTP # from"}, [acme, old]),
        ({"reason": "0% wrong_"}, [wave]),
        ({"reason": "_"}, [wave]),
        ({"since": HOUR}, [wave, acme]),
        ({"before": HOUR}, [old]),
        ({"since": shelf.clock.database_now()}, [wave, acme]),
        ({"before": shelf.clock.database_now() - HOUR}, [old]),
        ({"since": 3 * HOUR, "tenant": "acme", "type_name": "WAVE"}, []),
    ]
    for part, expected in parts:
        assert expected == await ids(shelf, JobFilter(states=(State.FAILED,), **part)), part
    look = await desk(shelf).look(FAILED, most=2)
    assert ([wave, acme], True) == ([job.id for job in look.jobs], look.is_cut)
    assert not (await desk(shelf).look(FAILED, most=3)).is_cut


@pytest.mark.parametrize(
    ("reason", "folded"),
    [
        ("out of attempts (5): HTTP 503", "out of attempts (#): HTTP #"),
        ("lead 17 of 3f2b8a4e-11d0-4c55-9b7e-0242ac120002 is gone", "lead # of # is gone"),
        ("no customer cus_9s6XKzkNRiz8i3Qb", "no customer #"),
        ("took 12.5 s at 10:31:07", "took # s at #"),
        ("the interconnectedness of feedback", "the interconnectedness of feedback"),
        (None, None),
    ],
)
def test_what_differs_in_ids_and_numbers_is_one_reason(reason: str | None, folded: str | None) -> None:
    """And words stay words."""
    assert folded == fold(reason)


async def test_dead_letters_are_grouped_by_what_went_wrong(shelf: Shelf) -> None:
    """The group with the newest job first; how many, of how many tenants, from when to when, and which."""
    first = await failed(shelf, "gave up: no lead 1", tenant="a")
    began = shelf.clock.database_now()
    await failed(shelf, "gave up: no lead 1", type="WAVE")
    shelf.clock.advance(HOUR)
    last = await failed(shelf, "gave up: no lead 22", tenant="b")
    await shelf.add()
    two, one = (await desk(shelf).dead()).groups
    assert ("SEND", "gave up: no lead #", 2, 2, (last, first)) == (two.type, two.reason, two.jobs, two.tenants, two.ids)
    assert (began, shelf.clock.database_now()) == (two.oldest, two.newest)
    assert ("WAVE", 1) == (one.type, one.jobs)
    assert 1 == len((await desk(shelf).dead(type_name="SEND", tenant="b")).groups)


async def test_jobs_retried_together_begin_a_new_generation(shelf: Shelf) -> None:
    """Each as if it were retried alone: due now, with all its attempts."""
    job_ids = [await failed(shelf) for _ in range(3)]
    look = await desk(shelf).look(FAILED, most=100)
    assert Acted(done=3, of=3) == await act(shelf, Action.RETRY, look)
    for job_id in job_ids:
        job = await shelf.job(job_id)
        assert ("PENDING", "retried by ada", 2, 0, None) == tuple(
            job[column] for column in ("state", "reason", "generation", "attempts", "finished_at")
        )
    assert set(job_ids) == {job.id for job in await shelf.claim(9)}


async def test_a_job_whose_effect_is_unknown_is_not_retried_with_the_others(shelf: Shelf) -> None:
    """A new generation would make it again: it waits for a person, who knows or looks it up (G6)."""
    unknown, known = await failed(shelf), await failed(shelf)
    await shelf.db.execute(
        "INSERT INTO job_effect (job_id, generation, name, tag, lease_no) VALUES (%s, 1, 'sms', 'lj', 1)", [unknown]
    )
    look = await desk(shelf).look(FAILED, most=100)
    assert Acted(done=1, unknown=1, of=2) == await act(shelf, Action.RETRY, look)
    assert ["FAILED", "PENDING"] == await states(shelf)
    assert [known] == [job.id for job in await shelf.claim(9)]


@pytest.mark.parametrize("is_sent", [True, False], ids=["mark-sent", "send-again"])
async def test_what_a_person_said_of_an_effect_since_the_look_is_a_change(shelf: Shelf, *, is_sent: bool) -> None:
    """A retry by an older look would begin a generation that knows nothing of it, and make the effect again (G6)."""
    job_id = await failed(shelf)
    await shelf.db.execute(
        "INSERT INTO job_effect (job_id, generation, name, tag, lease_no) VALUES (%s, 1, 'sms', 'lj', 1)", [job_id]
    )
    look = await desk(shelf).look(FAILED, most=100)
    effects = EffectDesk(shelf.db)
    await (effects.mark_sent if is_sent else effects.send_again)(job_id, "sms", by="bob")

    assert Acted(skipped=1, of=1) == await act(shelf, Action.RETRY, look)
    assert 1 == (await shelf.job(job_id))["generation"]


async def test_exactly_what_was_shown_is_acted_on(shelf: Shelf) -> None:
    """What came after the look is not touched; what changed since is skipped: failed again, replaced, gone."""
    again, replaced, gone, same = [await failed(shelf) for _ in range(4)]
    look = await desk(shelf).look(FAILED, most=100)
    newcomer = await failed(shelf)
    await Desk(shelf.db).retry(again, by="bob")
    (claimed,) = await shelf.claim(1)
    await shelf.store.settle([shelf.said(claimed, GiveUp("again"))])
    await shelf.db.execute("UPDATE background_job SET generation = generation + 1 WHERE id = %s", [replaced])
    await Desk(shelf.db).delete(gone)

    assert Acted(done=1, skipped=3, of=4) == await act(shelf, Action.DELETE, look)

    assert [again, replaced, newcomer] == [
        row["id"] for row in await shelf.rows("SELECT id FROM background_job ORDER BY id")
    ]
    assert same not in await ids(shelf, FAILED)
    assert Acted(skipped=4, of=4) == await act(shelf, Action.DELETE, look)


@pytest.mark.parametrize("change", ["SET lease_no = lease_no + 1", "SET generation = generation + 1"])
@pytest.mark.parametrize("action", Action)
async def test_what_has_changed_since_the_look_is_skipped(shelf: Shelf, action: Action, change: LiteralString) -> None:
    """Whatever it was that changed it: a run of it, or a person."""
    job_id = await (shelf.add() if action is Action.CANCEL else failed(shelf))
    look = await desk(shelf).look(JobFilter(states=(State.FAILED, State.PENDING)), most=100)
    await shelf.db.execute("UPDATE background_job " + change)
    before = await shelf.job(job_id)
    assert Acted(skipped=1, of=1) == await act(shelf, action, look)
    assert before == await shelf.job(job_id)


async def test_what_a_runner_claims_meanwhile_is_its_own(shelf: Shelf, other: Other) -> None:
    """A job that was claimed since the look is not cancelled; one that is being claimed is not waited for."""
    first, second, third = [await shelf.add() for _ in range(3)]
    look = await desk(shelf).look(JobFilter(states=(State.PENDING,)), most=100)
    (claimed,) = await shelf.claim(1)
    await other.execute("SELECT 1 FROM background_job WHERE id = %s FOR NO KEY UPDATE", [second])
    async with asyncio.timeout(5):
        assert Acted(done=1, skipped=2, of=3) == await act(shelf, Action.CANCEL, look)
    await other.rollback()
    assert ["RUNNING", "PENDING", "CANCELLED"] == await states(shelf)
    assert {first} == await shelf.store.settle([shelf.said(claimed, Done())])
    assert third


@pytest.mark.parametrize("action", Action)
async def test_a_job_that_somebody_is_changing_is_stepped_over(shelf: Shelf, other: Other, action: Action) -> None:
    """No batch waits for an open transaction; when it has committed, the job is not the one that was seen."""
    job_id = await (shelf.add() if action is Action.CANCEL else failed(shelf))
    look = await desk(shelf).look(JobFilter(states=(State.FAILED, State.PENDING)), most=100)
    await other.execute("SELECT FROM job_sweep")  # begins a transaction, in which the retry's own is a savepoint
    await Desk(other).retry(job_id, by="bob")
    for _ in range(2):
        async with asyncio.timeout(5):
            assert Acted(skipped=1, of=1) == await act(shelf, action, look)
        await other.commit()
    assert "retried by bob" == (await shelf.job(job_id))["reason"]


async def test_two_who_act_on_one_look_share_it(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four at once, from connections of their own: each job is retried once, and none is missing."""
    monkeypatch.setattr(dead_letters, "BATCH", 7)
    for _ in range(100):
        await failed(shelf)
    look = await desk(shelf).look(FAILED, most=100)

    async def one() -> int:
        async with connect(shelf.url) as connection:
            acting = BulkDesk(connection, shelf.clock).act(Action.RETRY, look, by="ada")
            return [each.done async for each in acting][-1]

    done = await asyncio.gather(*(one() for _ in range(4)))
    assert 100 == sum(done)
    assert [2] * 100 == [row["generation"] for row in await shelf.rows("SELECT generation FROM background_job")]


async def test_running_jobs_cancelled_together_lose_their_leases(shelf: Shelf) -> None:
    """What their handlers do after it is dropped."""
    await shelf.add()
    (claimed,) = await shelf.claim(1)
    look = await desk(shelf).look(JobFilter(states=(State.RUNNING,)), most=100)
    assert Acted(done=1, of=1) == await act(shelf, Action.CANCEL, look)
    assert set() == await shelf.store.settle([shelf.said(claimed, Done())])
    job = await shelf.job(claimed.id)
    assert ("CANCELLED", "cancelled by ada") == (job["state"], job["reason"])


async def test_one_whose_key_somebody_holds_is_refused_and_the_others_are_not(shelf: Shelf) -> None:
    """Two of one key must not wait side by side; the batch goes on without it."""
    held = await failed(shelf, dedupe_key="k", scope="live")
    free = await failed(shelf, dedupe_key="l", scope="live")
    await enqueue(shelf.db, NewJob(type="SEND", dedupe_key="k", scope="live", on_conflict=OnConflict.REPLACE))  # type: ignore[arg-type]
    look = await desk(shelf).look(FAILED, most=100)
    assert Acted(done=1, refused=1, of=2) == await act(shelf, Action.RETRY, look)
    assert ("FAILED", "PENDING") == ((await shelf.job(held))["state"], (await shelf.job(free))["state"])


async def test_one_that_somebody_s_row_points_to_is_not_deleted(shelf: Shelf) -> None:
    """Nor does it keep the others."""
    kept, gone = await failed(shelf), await failed(shelf)
    await shelf.db.execute("CREATE TABLE mine (job_id bigint REFERENCES background_job (id))")
    await shelf.db.execute("INSERT INTO mine VALUES (%s)", [kept])
    look = await desk(shelf).look(FAILED, most=100)
    assert Acted(done=1, refused=1, of=2) == await act(shelf, Action.DELETE, look)
    assert [kept] == await ids(shelf, FAILED)
    assert gone


async def test_batches_are_told_and_a_second_run_finishes_what_was_left(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped after the first batch of three, the rest is found by the same filter; nothing is done twice."""
    monkeypatch.setattr(dead_letters, "BATCH", 3)
    job_ids = [await failed(shelf) for _ in range(8)]
    async for first in desk(shelf).act(Action.RETRY, await desk(shelf).look(FAILED, most=100), by="ada"):
        assert Acted(done=3, of=8) == first
        break
    assert ["PENDING"] * 3 + ["FAILED"] * 5 == await states(shelf)  # oldest first
    rest = [each async for each in desk(shelf).act(Action.RETRY, await desk(shelf).look(FAILED, most=100), by="ada")]
    assert [Acted(done=3, of=5), Acted(done=5, of=5)] == rest
    assert [2] * 8 == [(await shelf.job(job_id))["generation"] for job_id in job_ids]


async def test_what_cannot_be_done_to_a_state_is_refused_before_anything_is_done(shelf: Shelf) -> None:
    """A retry of running jobs, a cancellation of ended ones, a deletion of unfinished ones."""
    await failed(shelf)
    await shelf.add()
    await shelf.claim(1)
    await shelf.add()
    looks = {state: await desk(shelf).look(JobFilter(states=(state,)), most=9) for state in State}
    wrong = [(Action.RETRY, State.RUNNING), (Action.CANCEL, State.FAILED)]
    wrong += [(Action.DELETE, State.PENDING), (Action.DELETE, State.RUNNING)]
    for action, state in wrong:
        with pytest.raises(StoreError, match=f"cannot {action} jobs that are {state}: "):
            await act(shelf, action, looks[state])
    assert ["FAILED", "RUNNING", "PENDING"] == await states(shelf)


@pytest.mark.parametrize("change", ["RUNNING", "PENDING"])
async def test_delete_refuses_what_has_not_ended(shelf: Shelf, change: str) -> None:
    """By id, and by the statement itself where the picture was another."""
    job_id = await shelf.add()
    if change == "RUNNING":
        await shelf.claim(1)
    with pytest.raises(StoreError, match=f"job {job_id} is {change}: cancel it first"):
        await Desk(shelf.db).delete(job_id)
    job = await shelf.job(job_id)
    for name in ("delete_jobs", "retry_jobs"):
        seen = {"ids": [job_id], "lease_nos": [job["lease_no"]], "generations": [job["generation"]]}
        rows = await desk(shelf)._rows(name, **seen, reason="x", now=None)
        assert ([] if name == "delete_jobs" or change == "RUNNING" else [{"id": job_id, "is_unknown": False}]) == rows
    with pytest.raises(JobNotFoundError):
        await Desk(shelf.db).delete(JobId(999))
