"""Starting, pausing, resuming and cancelling backfills, also by two people at once; real connections."""

import asyncio
from collections.abc import Awaitable, Callable

import psycopg
import pytest
from tests.engine.locks import until_somebody_waits
from tests.leads.backfill.stage import MODEL, PLENTY, BackfillStage

from leadjobs.errors import SettingsError
from leadjobs.leads.inbound import WorkspaceId
from leadjobs.leads.scoring import backfill_desk
from leadjobs.leads.scoring.backfill import BackfillError, BackfillId, Limits, Scope
from leadjobs.store.connection import connect
from leadjobs.store.desk import Desk

CLAIM = """
UPDATE background_job SET state = 'RUNNING', lease_until = now() + interval '1 day', lease_no = 1
 WHERE id = (SELECT min(id) FROM background_job WHERE type = 'LEAD_SCORING_POST_PROCESS')
"""
LIMITS = Limits(leads_per_minute=60, max_usd_micros=PLENTY)


async def test_a_plan_counts_and_changes_nothing(stage: BackfillStage) -> None:
    """Leads, with words, unscored, disqualified, to be scored; what it costs about and at most."""
    await stage.add_leads(2, words="")
    await stage.add_leads(3, score=4)
    out = await stage.add_leads(5, words="x" * 4_000)
    await stage.db.execute("UPDATE lead SET bounced_at = now() WHERE id = ANY (%s)", (out[:1],))
    await stage.db.execute("INSERT INTO workspace (name) VALUES ('Other')")
    other = await stage.count("SELECT id FROM workspace WHERE name = 'Other'")
    await stage.add_leads(7, workspace=other)
    async with stage.sessions() as session:
        ours = await backfill_desk.plan(session, Scope(workspace_id=WorkspaceId(stage.workspace)), MODEL)
        all_again = await backfill_desk.plan(session, Scope(is_rescore=True), MODEL)

    assert (10, 8, 5, 5, 1) == (ours.leads, ours.with_inbound_words, ours.unscored, ours.to_score, ours.disqualified)
    assert (17, 15, 12, 15, 1) == (
        all_again.leads,
        all_again.with_inbound_words,
        all_again.unscored,
        all_again.to_score,
        all_again.disqualified,
    )
    assert 4 * 1_000 * 0.1 < ours.estimated_usd_micros < 4 * 2_500 * 0.125 + 4 * 100
    assert 4 * ours.worst_lead_usd_micros == ours.worst_usd_micros
    assert 0 == await stage.count("SELECT count(*) FROM scoring_backfill")


async def test_an_estimate_is_near_what_it_costs(stage: BackfillStage) -> None:
    """Not under it, and not over three times as much: the stand-in's answers are shorter than real ones."""
    await stage.add_leads(10, words="We need this before the new year. What does it cost per chair?" * 20)
    async with stage.sessions() as session:
        estimated = (await backfill_desk.plan(session, Scope(), MODEL)).estimated_usd_micros
    await stage.start()
    await stage.minutes_until("finished")
    assert 1 <= estimated / await stage.spent() < 3


async def test_two_starts_at_once_are_one_backfill(stage: BackfillStage) -> None:
    """The second waits for the first to commit, and then sees it; twenty at once as well."""
    await stage.add_leads(1)
    async with stage.sessions() as session:
        scope = Scope(workspace_id=WorkspaceId(stage.workspace))
        await backfill_desk.start(session, scope, LIMITS, model=MODEL, by="ada")
        second = asyncio.create_task(stage.start())
        await until_somebody_waits(stage.db)
        await session.commit()
    with pytest.raises(BackfillError, match=rf"backfill \d+ is running over workspace {stage.workspace}: pause or"):
        await second
    await stage.cancel(BackfillId((await stage.backfill())["id"]))

    results = await asyncio.gather(*(stage.start() for _ in range(20)), return_exceptions=True)
    assert 19 == sum(isinstance(each, BackfillError) for each in results)
    assert 1 == await stage.count("SELECT count(*) FROM scoring_backfill WHERE state = 'running'")
    running = (
        "SELECT count(*) FROM background_job WHERE type = 'LEAD_SCORING_BACKFILL' AND dedupe_key = 'backfill:' || {}"
    )
    assert 1 == await stage.count(running.format((await stage.backfill())["id"]))


async def test_one_over_all_stands_against_any_other(stage: BackfillStage) -> None:
    """Its leads are everybody's: a workspace's waits for it, and it for theirs.  Two workspaces' run together."""
    ours = await stage.start()
    with pytest.raises(BackfillError, match="is running over workspace"):
        await stage.start(everybody=True)
    await stage.db.execute("INSERT INTO workspace (name) VALUES ('Other')")
    stage.workspace = await stage.count("SELECT id FROM workspace WHERE name = 'Other'")
    await stage.cancel(await stage.start())
    await stage.cancel(ours)
    await stage.start(everybody=True)
    with pytest.raises(BackfillError, match="is running over all workspaces"):
        await stage.start()


async def test_a_paused_one_cannot_resume_beside_another(stage: BackfillStage) -> None:
    """A pause lets others start; to resume it must be alone again."""
    first = await stage.start()
    await stage.pause(first)
    second = await stage.start()
    with pytest.raises(BackfillError, match=f"backfill {second} is running"):
        await stage.resume(first)
    await stage.cancel(second)
    await stage.resume(first)
    await stage.resume(first)


async def test_a_cancel_takes_what_waits_and_lets_run_what_runs(stage: BackfillStage) -> None:
    """It says how many; none of them is scored, no further page comes, and another backfill can start."""
    await stage.add_leads(9)
    backfill_id = await stage.start(per_minute=6)
    await stage.minute(stage.runner(scores=False))
    await stage.db.execute(CLAIM)
    live = "INSERT INTO background_job (type, tenant, dedupe_key) VALUES ('LEAD_SCORING_POST_PROCESS', %s, %s)"
    for other in (f"{backfill_id}0", f"{backfill_id + 1}"):
        await stage.db.execute(live, (str(stage.workspace), f"lead_scoring:backfill:{other}:1"))
    assert 5 == await stage.cancel(backfill_id)
    assert 0 == await stage.cancel(backfill_id)

    states = "SELECT count(*) FROM background_job WHERE type = 'LEAD_SCORING_POST_PROCESS' AND state = {}"
    for state, jobs in (("'CANCELLED'", 5), ("'RUNNING'", 1), ("'PENDING'", 2)):
        assert jobs == await stage.count(states.format(state))
    await stage.minute(stage.runner(scores=False))
    assert ("cancelled", "cancelled by ada", "skipped: the backfill is cancelled") == (
        (await stage.backfill())["state"],
        (await stage.backfill())["reason"],
        (await stage.driver())["reason"],
    )
    assert backfill_id < await stage.start()


async def test_a_job_that_is_claimed_meanwhile_is_let_run(stage: BackfillStage) -> None:
    """A cancel that waits for a claim to commit does not take what was claimed."""
    await stage.add_leads(3)
    backfill_id = await stage.start()
    await stage.minute(stage.runner(scores=False))
    async with await psycopg.AsyncConnection.connect(stage.url) as claiming:
        await claiming.execute(CLAIM)
        cancelling = asyncio.create_task(stage.cancel(backfill_id))
        await until_somebody_waits(stage.db)
        await claiming.commit()
    assert 2 == await cancelling
    assert 1 == await stage.count("SELECT count(*) FROM background_job WHERE state = 'RUNNING'")


async def test_a_driver_that_somebody_cancelled_comes_back_with_a_resume(stage: BackfillStage) -> None:
    """A resume of a running backfill heals it."""
    await stage.add_leads(2)
    backfill_id = await stage.start()
    async with connect(stage.url) as connection:
        await Desk(connection).cancel((await stage.driver())["id"], by="ada")
    await stage.minute()
    assert 0 == await stage.enqueued()
    await stage.resume(backfill_id)
    await stage.minutes_until("finished")


@pytest.mark.parametrize("act", ["pause", "resume", "cancel"])
async def test_what_has_ended_stays_ended(stage: BackfillStage, act: str) -> None:
    """A finished backfill, and one that there is not: an error that says which."""
    acts: dict[str, Callable[[BackfillId], Awaitable[object]]] = {
        "pause": stage.pause,
        "resume": stage.resume,
        "cancel": stage.cancel,
    }
    with pytest.raises(BackfillError, match="there is no backfill 4711: see `leadjobs backfill list`"):
        await acts[act](BackfillId(4711))
    backfill_id = await stage.start()
    await stage.minutes_until("finished")
    with pytest.raises(BackfillError, match=f"backfill {backfill_id} is finished"):
        await acts[act](backfill_id)


async def test_limits_are_checked(stage: BackfillStage) -> None:
    """No rate, a rate that is too much, a model without prices: nothing is changed."""
    for rate in (0, 1_001):
        with pytest.raises(BackfillError, match="leads per minute: from 1 to 1000"):
            await stage.start(per_minute=rate)
    backfill_id = await stage.start()
    with pytest.raises(BackfillError, match="leads per minute"):
        await stage.resume(backfill_id, leads_per_minute=0)
    async with stage.sessions() as session:
        with pytest.raises(SettingsError, match="the prices of my-own are not known"):
            await backfill_desk.resume(session, backfill_id, model="my-own")
    assert 60 == (await stage.backfill())["leads_per_minute"]


async def test_the_list_says_how_each_stands(stage: BackfillStage) -> None:
    """Newest first, with what their jobs have come to and cost."""
    await stage.add_leads(3)
    first = await stage.start(per_minute=2)
    await stage.minute()
    await stage.pause(first)
    await stage.start(is_rescore=True)
    await stage.db.execute("UPDATE ai_interaction SET cost_usd_micros = NULL, status = 'asked' WHERE id % 2 = 0")
    async with stage.sessions() as session:
        second, line = await backfill_desk.newest_backfills(session)
    assert (first, "Acme", "paused", "paused by ada") == (line.id, line.workspace, line.state, line.reason)
    assert (2, 0, 0, 1) == (line.enqueued, line.unended, line.failed, line.calls_of_unknown_cost)
    assert await stage.spent() == line.cost_usd_micros > 0
    assert (True, "running", 0) == (second.is_rescore, second.state, second.cost_usd_micros)
