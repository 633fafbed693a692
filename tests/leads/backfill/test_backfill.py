"""LEAD_SCORING_BACKFILL: page after page in the low lane, once each, whatever dies; on a real database and stand-in."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncSession
from tests.engine.locks import until_somebody_waits
from tests.leads.backfill.stage import MINUTE, BackfillStage

from leadjobs import enqueue_many
from leadjobs.core.clock import SystemClock
from leadjobs.core.job import JobId
from leadjobs.leads.inbound import LeadId, MessageId
from leadjobs.leads.jobs import LEAD_SCORING_POST_PROCESS, LeadMessage
from leadjobs.leads.scoring import backfill_desk
from leadjobs.leads.sessions import Sessions
from leadjobs.store.connection import connect
from leadjobs.store.desk import Desk
from leadjobs.testing.openai import OpenAIStandIn

STATEMENTS = 9  # of a page, before its commit


class MortalSession(AsyncSession):
    """A session that may raise when its commit is done."""

    dies_after_commit = False

    async def commit(self) -> None:
        await super().commit()
        if self.dies_after_commit:
            raise RuntimeError("died after the commit")


class MortalSessions(Sessions):
    """Sessions that raise before the statement with this number, or after the commit: once, when told to."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.statements, self.dies_at, self.dies_after_commit = 0, 0, False
        event.listen(self._engine.sync_engine, "before_cursor_execute", self._on_statement)

    def _on_statement(self, *_: Any) -> None:
        self.statements += 1
        if self.statements == self.dies_at:
            raise RuntimeError(f"died before statement {self.dies_at}")

    def __call__(self) -> AsyncSession:
        session = MortalSession(self._engine, expire_on_commit=False)
        session.dies_after_commit, self.dies_after_commit, self.statements = self.dies_after_commit, False, 0
        return session


@pytest.fixture
async def mortal(url: str) -> AsyncIterator[MortalSessions]:
    sessions = MortalSessions(url)
    yield sessions
    await sessions.close()


async def test_all_leads_are_scored_a_page_a_minute(stage: BackfillStage, openai: OpenAIStandIn) -> None:
    """Seven leads at three a minute: three pages, each scored in the low lane; finished when the last job has ended."""
    await stage.add_leads(7)
    await stage.start(per_minute=3)
    scored = []
    for _ in range(4):
        await stage.minute()
        scored.append(await stage.count("SELECT count(*) FROM lead WHERE overall_score = 3"))

    backfill, driver = await stage.backfill(), await stage.driver()
    assert [3, 6, 7, 7] == scored
    assert ("finished", 7, 7) == (backfill["state"], backfill["enqueued"], len(openai.calls))
    assert backfill["finished_at"] is not None
    assert backfill["reason"].startswith("7 leads enqueued, 0 jobs failed, spent $")
    assert ("SUCCEEDED", 0, "backfill") == (driver["state"], driver["attempts"], driver["lane"])
    lanes = await stage.one("SELECT array_agg(DISTINCT lane) AS lanes FROM background_job")
    assert ["backfill"] == lanes["lanes"]


async def test_it_goes_on_wherever_it_died(stage: BackfillStage, mortal: MortalSessions) -> None:
    """Raising before each statement of a page, and after its commit: each lead has one job and one score in the end."""
    await stage.add_leads(STATEMENTS + 3)
    await stage.start(per_minute=1)
    runner = stage.runner(sessions=mortal)
    died = []
    for place in range(1, STATEMENTS + 1):
        before, mortal.dies_at = (await stage.backfill())["after_lead_id"], place
        died.append((await stage.minute(runner)).retried)
        assert before == (await stage.backfill())["after_lead_id"]
        assert place - 1 == await stage.enqueued()
        mortal.dies_at = 0
        stage.clock.advance(15 * MINUTE)
        await stage.minute(runner)
    mortal.dies_after_commit = True
    report = await stage.minute(runner)
    assert (1, STATEMENTS + 1) == (report.lost, await stage.enqueued())
    await stage.minutes_until("finished", runner)

    assert [1] * STATEMENTS == died
    assert STATEMENTS + 3 == (await stage.backfill())["enqueued"]
    scores = await stage.one("SELECT count(*) AS scores, count(DISTINCT lead_id) AS leads FROM lead_score")
    assert {"scores": STATEMENTS + 3, "leads": STATEMENTS + 3} == scores


async def test_no_more_than_the_rate_within_any_minute(stage: BackfillStage) -> None:
    """Doubled cron calls, and somebody who makes the driver due at once, add nothing within the same minute."""
    await stage.add_leads(9)
    backfill_id = await stage.start(per_minute=2)
    real = [stage.runner(clock=SystemClock()) for _ in range(2)]
    await asyncio.gather(*(runner.run() for runner in real))
    assert 2 == await stage.enqueued()

    async with connect(stage.url) as connection:
        await Desk(connection).retry(JobId((await stage.driver())["id"]), by="ada")
    await real[0].run()
    assert 2 == await stage.enqueued()
    assert "2 leads were enqueued within the last minute" == (await stage.driver())["reason"]

    await stage.resume(backfill_id, leads_per_minute=3)
    async with connect(stage.url) as connection:
        await Desk(connection).retry(JobId((await stage.driver())["id"]), by="ada")
    await real[0].run()
    assert 3 == await stage.enqueued()


async def test_a_late_cron_call_catches_nothing_up(stage: BackfillStage) -> None:
    """After an hour without cron calls the next page is as long as any."""
    await stage.add_leads(9)
    await stage.start(per_minute=2)
    await stage.minute()
    stage.clock.advance(60 * MINUTE)
    await stage.minute()
    assert 4 == await stage.enqueued()


async def test_live_replies_are_served_while_a_backfill_runs(stage: BackfillStage, openai: OpenAIStandIn) -> None:
    """Replies that come in while 300 leads wait get four of five slots; the backfill goes on beside and after them."""
    await stage.add_leads(300, words="From the backfill")
    await stage.start(per_minute=300)
    await stage.runner(scores=False, clock=SystemClock()).run()
    live = await stage.add_leads(20, words="Live")
    jobs = [
        LEAD_SCORING_POST_PROCESS.job(LeadMessage(LeadId(lead), MessageId(1)), tenant=str(stage.workspace))
        for lead in live
    ]
    has_begun, usual, loop = asyncio.Event(), openai.answer, asyncio.get_running_loop()
    runner = stage.runner(drives=False, clock=SystemClock(), concurrency=5)
    answered: list[bool] = []

    def answer(asked: dict[str, Any]) -> dict[str, Any]:
        answered.append("Live" in asked["input"])
        loop.call_soon_threadsafe(has_begun.set)
        if sum(answered) == len(live) and not any(answered[-10:]):
            loop.call_soon_threadsafe(runner.stop)
        return usual(asked)

    openai.answer = answer
    running = asyncio.create_task(runner.run())
    await asyncio.wait_for(has_begun.wait(), 20)
    before = len(answered)
    await enqueue_many(stage.db, jobs)
    await running

    lives = [number for number, is_live in enumerate(answered) if is_live]
    assert 20 == len(lives)
    assert lives[0] - before <= 150  # the queue is looked at again after 128 jobs, and then it is their turn
    assert lives[-1] - lives[0] <= 35  # a job of the backfill after each four
    assert not all(answered[lives[0] : lives[-1]])
    assert 0 < await stage.count("SELECT count(*) FROM background_job WHERE state = 'PENDING' AND lane = 'backfill'")


async def test_only_leads_that_said_something_and_have_no_score(stage: BackfillStage, openai: OpenAIStandIn) -> None:
    """Without words, with a score, of another workspace, or newer than the start: not scored.  Disqualified: free."""
    await stage.add_leads(2, words="")
    await stage.add_leads(2, score=4)
    await stage.db.execute("INSERT INTO workspace (name) VALUES ('Other')")
    other = await stage.count("SELECT id FROM workspace WHERE name = 'Other'")
    await stage.add_leads(2, workspace=other)
    wanted, out = await stage.add_leads(2)
    await stage.db.execute("UPDATE lead SET opted_out_at = now(), opted_out_why = 'asked' WHERE id = %s", (out,))
    await stage.start()
    await stage.add_leads(1)
    await stage.minutes_until("finished")

    scored = await (
        await stage.db.execute("SELECT lead_id, overall_score, model FROM lead_score ORDER BY 1")
    ).fetchall()
    assert [
        {"lead_id": wanted, "overall_score": 3, "model": "gpt-6-luna"},
        {"lead_id": out, "overall_score": 1, "model": None},
    ] == scored
    assert 1 == len(openai.calls)


async def test_a_rescore_takes_all_leads_of_all_workspaces(stage: BackfillStage) -> None:
    """Those with a score too, and each for its own workspace; its newest inbound words name the scoring's message."""
    await stage.db.execute("INSERT INTO workspace (name) VALUES ('Other')")
    other = await stage.count("SELECT id FROM workspace WHERE name = 'Other'")
    (lead,) = await stage.add_leads(1, score=1)
    await stage.add_leads(1, score=1, workspace=other)
    said = "SELECT {} AS workspace_id, {}, 'sms', {}, 'test', {}, {}, '', '', now() + interval '{} hours'"
    for number, (direction, body) in enumerate([("inbound", "No"), ("outbound", "Why?"), ("inbound", "")]):
        values = said.format(stage.workspace, lead, f"'{direction}'", f"'more:{number}'", f"'{body}'", number)
        columns = "workspace_id, lead_id, channel, direction, source, message_key, body, sender, recipient, sent_at"
        await stage.db.execute(f"INSERT INTO message ({columns}) {values}".encode())
    await stage.start(is_rescore=True, everybody=True)
    await stage.minutes_until("finished")

    assert 2 == await stage.count("SELECT count(*) FROM lead WHERE overall_score = 3")
    tenants = await (
        await stage.db.execute(
            "SELECT job.tenant, message.body, job.state FROM background_job AS job"
            " JOIN message ON message.id = (payload ->> 'message_id')::bigint AND message.workspace_id::text = tenant"
            " WHERE type = 'LEAD_SCORING_POST_PROCESS' ORDER BY job.id"
        )
    ).fetchall()
    assert [(str(stage.workspace), "No"), (str(other), "Call me")] == [(x["tenant"], x["body"]) for x in tenants]


async def test_a_pause_takes_effect_at_the_next_page(stage: BackfillStage) -> None:
    """What is enqueued is scored, nothing more is; after a resume it goes on behind, with a driver of its own again."""
    await stage.add_leads(5)
    backfill_id = await stage.start(per_minute=2)
    await stage.minute()
    await stage.pause(backfill_id)
    await stage.pause(backfill_id)
    for _ in range(3):
        await stage.minute()
    assert (2, "skipped: the backfill is paused") == (await stage.enqueued(), (await stage.driver())["reason"])

    await stage.resume(backfill_id)
    await stage.resume(backfill_id)
    assert 3 == await stage.minutes_until("finished")
    assert 5 == await stage.count("SELECT count(DISTINCT lead_id) FROM lead_score")


async def test_a_resume_cannot_miss_a_driver_that_ends(stage: BackfillStage) -> None:
    """The driver that finds its backfill paused waits for a resume under way, and goes on: one driver, never none."""
    await stage.add_leads(2)
    backfill_id = await stage.start()
    await stage.pause(backfill_id)
    async with stage.sessions() as session:
        await backfill_desk.resume(session, backfill_id, model="gpt-6-luna")
        await session.flush()
        running = asyncio.create_task(stage.runner().run())
        await until_somebody_waits(stage.db)
        await session.commit()
    await running
    assert (2, "PENDING") == (await stage.enqueued(), (await stage.driver())["state"])


async def test_a_deleted_lead_or_backfill_ends_quietly(stage: BackfillStage) -> None:
    """A lead that goes before its turn fails its own job and no other; a driver without its backfill does nothing."""
    leads = await stage.add_leads(3)
    await stage.start()
    await stage.minute(stage.runner(scores=False))
    await stage.db.execute("DELETE FROM lead WHERE id = %s", (leads[1],))
    await stage.minutes_until("finished")
    assert (await stage.backfill())["reason"].startswith("3 leads enqueued, 1 jobs failed")

    await stage.start(is_rescore=True)
    await stage.db.execute("DELETE FROM workspace")
    await stage.minute()
    assert "skipped: the backfill was deleted" == (await stage.driver())["reason"]


@pytest.mark.parametrize("leads", [1, 200])
async def test_a_page_takes_few_statements(stage: BackfillStage, mortal: MortalSessions, leads: int) -> None:
    """As many for a long page as for a short one."""
    await stage.add_leads(leads)
    await stage.start(per_minute=leads)
    await stage.minute(stage.runner(scores=False, sessions=mortal))
    assert (STATEMENTS, leads) == (mortal.statements, await stage.enqueued())
