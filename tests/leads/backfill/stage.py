"""What the backfill's tests stand on: leads, a backfill, and a runner whose minutes pass by hand."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, LiteralString

from psycopg import AsyncConnection
from psycopg.rows import DictRow

from leadjobs import Handler, Registry, Runner
from leadjobs.core.clock import Clock
from leadjobs.core.report import Report
from leadjobs.handlers.lead_scoring_backfill import lead_scoring_backfill
from leadjobs.handlers.lead_scoring_post_process import lead_scoring_post_process
from leadjobs.leads.ai.asking import AI
from leadjobs.leads.inbound import WorkspaceId
from leadjobs.leads.scoring import backfill_desk
from leadjobs.leads.scoring.backfill import BackfillId, Limits, Scope
from leadjobs.leads.sessions import Sessions
from leadjobs.testing.clock import FakeClock

Db = AsyncConnection[DictRow]
MODEL = "gpt-6-luna"
MINUTE = timedelta(minutes=1)
PLENTY = 1_000_000_000

ADD = """
WITH added AS (
    INSERT INTO lead (workspace_id, overall_score)
    SELECT %(workspace)s, %(score)s FROM generate_series(1, %(count)s)
    RETURNING id
), told AS (
    INSERT INTO message (workspace_id, lead_id, channel, direction, source, message_key, body, sender, recipient,
                         sent_at)
    SELECT %(workspace)s, id, 'sms', 'inbound', 'test', 'test:' || id, %(words)s, '', '', now() FROM added
)
SELECT id FROM added ORDER BY id
"""


@dataclass
class BackfillStage:
    """One test's leads, backfills and runners."""

    url: str
    db: Db
    workspace: int
    sessions: Sessions
    ai: AI
    clock: FakeClock = field(default_factory=lambda: FakeClock(datetime.now(UTC) + timedelta(hours=1)))

    async def add_leads(
        self, count: int, *, words: str = "Call me", score: int | None = None, workspace: int | None = None
    ) -> list[int]:
        """Leads with one inbound message each."""
        params = {"workspace": workspace or self.workspace, "count": count, "words": words, "score": score}
        return [row["id"] for row in await (await self.db.execute(ADD, params)).fetchall()]

    async def worst(self) -> int:
        """What one lead may cost."""
        async with self.sessions() as session:
            return (await backfill_desk.plan(session, Scope(), MODEL)).worst_lead_usd_micros

    async def start(
        self, *, per_minute: int = 60, max_usd_micros: int = PLENTY, is_rescore: bool = False, everybody: bool = False
    ) -> BackfillId:
        """A backfill of the workspace, or of all."""
        scope = Scope(workspace_id=None if everybody else WorkspaceId(self.workspace), is_rescore=is_rescore)
        limits = Limits(leads_per_minute=per_minute, max_usd_micros=max_usd_micros)
        async with self.sessions() as session, session.begin():
            return await backfill_desk.start(session, scope, limits, model=MODEL, by="ada")

    async def pause(self, backfill_id: BackfillId) -> None:
        async with self.sessions() as session, session.begin():
            await backfill_desk.pause(session, backfill_id, by="ada")

    async def resume(self, backfill_id: BackfillId, **limits: int) -> None:
        async with self.sessions() as session, session.begin():
            await backfill_desk.resume(session, backfill_id, model=MODEL, **limits)

    async def cancel(self, backfill_id: BackfillId) -> int:
        async with self.sessions() as session, session.begin():
            return await backfill_desk.cancel(session, backfill_id, by="ada")

    def runner(
        self,
        *,
        scores: bool = True,
        drives: bool = True,
        sessions: Sessions | None = None,
        model: str = MODEL,
        clock: Clock | None = None,
        **options: Any,
    ) -> Runner:
        """A runner of both handlers, or of one, on the stage's clock."""
        clock = clock or self.clock
        handlers: list[Handler[Any]] = []
        if scores:
            handlers.append(lead_scoring_post_process(self.sessions, self.ai))
        if drives:
            handlers.append(lead_scoring_backfill(sessions or self.sessions, model, clock=clock))
        return Runner(self.url, Registry(*handlers), clock=clock, **options)

    async def minute(self, runner: Runner | None = None) -> Report:
        """Run what is due, then let a minute pass."""
        report = await (runner or self.runner()).run()
        self.clock.advance(MINUTE)
        return report

    async def minutes_until(self, state: str, runner: Runner | None = None) -> int:
        """Run each minute until the newest backfill is in this state; how many minutes it took."""
        for minute in range(1, 50):
            await self.minute(runner)
            if (await self.backfill())["state"] == state:
                return minute
        raise AssertionError(f"not {state} after 50 minutes, but {await self.backfill()}")

    async def one(self, query: LiteralString) -> DictRow:
        row = await (await self.db.execute(query)).fetchone()
        assert row is not None
        return row

    async def count(self, query: LiteralString) -> int:
        return int(next(iter((await self.one(query)).values())))

    async def backfill(self) -> DictRow:
        """The newest backfill."""
        return await self.one("SELECT * FROM scoring_backfill ORDER BY id DESC LIMIT 1")

    async def driver(self) -> DictRow:
        """The newest driver job."""
        return await self.one(
            "SELECT * FROM background_job WHERE type = 'LEAD_SCORING_BACKFILL' ORDER BY id DESC LIMIT 1"
        )

    async def enqueued(self) -> int:
        """How many scoring jobs there are."""
        return await self.count("SELECT count(*) FROM background_job WHERE type = 'LEAD_SCORING_POST_PROCESS'")

    async def spent(self) -> int:
        """What all calls have cost."""
        return await self.count("SELECT coalesce(sum(cost_usd_micros), 0)::bigint FROM ai_interaction")
