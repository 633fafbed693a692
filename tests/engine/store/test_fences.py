"""What is written under a lease, at the level of SQL: not by a former owner, and not while the owner changes."""

import asyncio
import json
from typing import Any

import psycopg
import pytest
from psycopg.rows import DictRow
from tests.engine.locks import waiting

from leadjobs import Done, NewJob, OnConflict, enqueue
from leadjobs.errors import StoreError
from leadjobs.store.connection import connect, fetch_async
from leadjobs.store.desk import Desk
from leadjobs.store.effect_desk import EffectDesk
from leadjobs.store.jobs import Claimed
from leadjobs.store.statements import statement

Other = psycopg.AsyncConnection[DictRow]
Shelf = Any  # of conftest.py
PATIENCE = 20.0  # seconds until a fact that does not come true fails its test

UNDER_A_LEASE: dict[str, dict[str, Any]] = {
    "intend_effect": {"generation": 1, "name": "new", "tag": "lj-new", "not_sent_under": None},
    "accept_looked_up": {"generation": 1, "name": "sms", "receipt": "{}"},
    "reserve_spend": {"generation": 1, "asked": '[{"unit": "tokens", "amount": 1}]', "what": "", "now": None},
    "settle_spend": {"told": '[{"id": 1, "actual": 5}]'},
    "keep_step": {"generation": 1, "name": "step", "result": "1"},
}
every_statement = pytest.mark.parametrize("name", UNDER_A_LEASE)

WRITTEN = """
SELECT (SELECT array_agg(name || state ORDER BY name) FROM job_effect) AS effects,
       (SELECT count(*) FROM job_step) AS steps,
       (SELECT array_agg((unit, used)::text) FROM job_budget_day) AS days,
       (SELECT array_agg(actual) FROM job_spend) AS spent
"""


async def an_owner(shelf: Shelf) -> Claimed:
    """A claimed job with an effect that is unanswered and an amount that is not settled."""
    await shelf.add()
    claimed: Claimed = await shelf.claim_one()
    await ask(shelf, "intend_effect", claimed, **UNDER_A_LEASE["intend_effect"] | {"name": "sms", "tag": "lj-sms"})
    asked = json.dumps([{"unit": "tokens", "amount": 10}])
    await ask(shelf, "reserve_spend", claimed, **UNDER_A_LEASE["reserve_spend"] | {"asked": asked})
    return claimed


async def ask(shelf: Shelf, statement_name: str, claimed: Claimed, /, **binds: Any) -> Any:
    """What a statement says to the owner of a lease."""
    lease = {"id": claimed.id, "lease_no": claimed.lease.lease_no}
    return await fetch_async(shelf.db, statement(statement_name), lease | binds)


async def blocked_or_done(shelf: Shelf, task: asyncio.Task[Any]) -> None:
    """Wait until somebody waits for a lock, or the task for nobody any more."""
    async with connect(shelf.url) as watcher, asyncio.timeout(PATIENCE):
        while not task.done() and not await waiting(watcher):
            pass


@every_statement
async def test_a_lease_that_holds_writes(shelf: Shelf, name: str) -> None:
    """As the two tests below would show nothing otherwise."""
    claimed = await an_owner(shelf)
    before = await shelf.rows(WRITTEN)
    assert 1 == len(await ask(shelf, name, claimed, **UNDER_A_LEASE[name]))
    assert before != await shelf.rows(WRITTEN)


@every_statement
async def test_a_stale_lease_writes_nothing(shelf: Shelf, name: str) -> None:
    claimed = await an_owner(shelf)
    before = await shelf.rows(WRITTEN)
    await shelf.db.execute("UPDATE background_job SET lease_no = lease_no + 1")
    assert [] == await ask(shelf, name, claimed, **UNDER_A_LEASE[name])
    assert before == await shelf.rows(WRITTEN)


@every_statement
async def test_a_takeover_under_way_is_waited_for(shelf: Shelf, other: Other, name: str) -> None:
    """And then there is nothing to write for who was the owner when he asked."""
    claimed = await an_owner(shelf)
    before = await shelf.rows(WRITTEN)
    await other.execute("UPDATE background_job SET lease_no = lease_no + 1")
    asking = asyncio.create_task(ask(shelf, name, claimed, **UNDER_A_LEASE[name]))
    await blocked_or_done(shelf, asking)
    await other.commit()
    assert [] == await asking
    assert before == await shelf.rows(WRITTEN)


async def test_what_was_answered_meanwhile_is_not_looked_up_any_more(shelf: Shelf) -> None:
    """The receipt of the call itself stays."""
    claimed = await an_owner(shelf)
    answer = {"generation": 1, "name": "sms", "state": "accepted"}
    await ask(shelf, "answer_effect", claimed, **answer, receipt='{"number": 1}')
    assert [] == await ask(shelf, "accept_looked_up", claimed, **UNDER_A_LEASE["accept_looked_up"])
    assert [{"receipt": {"number": 1}}] == await shelf.rows("SELECT receipt FROM job_effect")


async def test_an_amount_is_told_once(shelf: Shelf) -> None:
    """The day moves once from what was reserved to what was spent."""
    claimed = await an_owner(shelf)
    for rows in (1, 0):
        assert rows == len(await ask(shelf, "settle_spend", claimed, **UNDER_A_LEASE["settle_spend"]))
    assert [{"used": 5}] == await shelf.rows("SELECT used FROM job_budget_day")


async def test_an_amount_changes_its_own_day_alone(shelf: Shelf) -> None:
    """Not what the same tenant used of the same unit on another."""
    claimed = await an_owner(shelf)
    await shelf.db.execute("INSERT INTO job_budget_day SELECT tenant, unit, day - 1, 7 FROM job_budget_day")
    await ask(shelf, "settle_spend", claimed, **UNDER_A_LEASE["settle_spend"])
    assert [{"used": 7}, {"used": 5}] == await shelf.rows("SELECT used FROM job_budget_day ORDER BY day")


async def test_a_person_s_word_waits_for_what_is_being_done(shelf: Shelf, other: Other) -> None:
    """It is about the job as it is then: one that runs while somebody takes it back does not run any more."""
    claimed = await an_owner(shelf)
    await other.execute("UPDATE background_job SET state = 'PENDING', lease_until = NULL, lease_no = lease_no + 1")
    marking = asyncio.create_task(EffectDesk(shelf.db).mark_sent(claimed.id, "sms", by="ada"))
    await blocked_or_done(shelf, marking)
    await other.commit()
    assert await marking


async def test_a_person_s_word_changes_no_answer_that_has_come(shelf: Shelf) -> None:
    """What was sent is sent, with its receipt; what was not sent is not marked."""
    claimed = await an_owner(shelf)
    await ask(shelf, "intend_effect", claimed, **UNDER_A_LEASE["intend_effect"])
    for name, state, receipt in (("sms", "accepted", '{"number": 1}'), ("new", "refused", None)):
        await ask(shelf, "answer_effect", claimed, generation=1, name=name, state=state, receipt=receipt)
    await shelf.store.settle([shelf.broke(claimed, ValueError())])
    desk, answers = EffectDesk(shelf.db), "SELECT state, receipt, told_by FROM job_effect ORDER BY name"
    before = await shelf.rows(answers)
    with pytest.raises(StoreError, match="was sent"):
        await desk.send_again(claimed.id, "sms", by="ada")
    with pytest.raises(StoreError, match="was not sent"):
        await desk.mark_sent(claimed.id, "new", by="ada")
    with pytest.raises(StoreError, match="was sent, and its receipt is"):
        await desk.mark_sent(claimed.id, "sms", by="ada", receipt={"number": 2})
    assert await desk.mark_sent(claimed.id, "sms", by="ada")
    assert before == await shelf.rows(answers)


async def test_a_retry_by_hand_waits_for_what_is_being_done(shelf: Shelf, other: Other) -> None:
    """A run that is just being ended has ended for the retry."""
    job_id = await shelf.add()
    await shelf.claim_one()
    await other.execute(
        "UPDATE background_job SET state = 'FAILED', lease_until = NULL, lease_no = lease_no + 1, finished_at = now()"
    )
    retrying = asyncio.create_task(Desk(shelf.db).retry(job_id, by="ada"))
    await blocked_or_done(shelf, retrying)
    await other.commit()
    await retrying
    assert "PENDING" == (await shelf.job(job_id))["state"]


async def test_by_hand_each_state_allows_what_it_allows(shelf: Shelf) -> None:
    """What runs is not retried; cancelled, it has lost its lease; what has ended is not cancelled."""
    desk, job_id = Desk(shelf.db), await shelf.add()
    claimed = await shelf.claim_one()
    with pytest.raises(StoreError, match="is RUNNING"):
        await desk.retry(job_id, by="ada")
    assert claimed.lease.lease_no == (await shelf.job(job_id))["lease_no"]
    await desk.cancel(job_id, by="ada")
    assert claimed.lease.lease_no < (await shelf.job(job_id))["lease_no"]
    assert set() == await shelf.store.settle([shelf.said(claimed, Done())])
    with pytest.raises(StoreError, match="has ended already"):
        await desk.cancel(job_id, by="bob")
    job = await shelf.job(job_id)
    assert ("CANCELLED", "cancelled by ada") == (job["state"], job["reason"])


async def test_a_replaced_job_waits_no_longer_among_the_retries(shelf: Shelf) -> None:
    """Its payload is new, and has not failed yet."""
    job_id = await shelf.add(dedupe_key="one")
    await shelf.db.execute("UPDATE background_job SET lane = 'retry', attempts = 3")
    await enqueue(shelf.db, NewJob(type="SEND", dedupe_key="one", on_conflict=OnConflict.REPLACE))
    job = await shelf.job(job_id)
    assert ("live", 0) == (job["lane"], job["attempts"])
