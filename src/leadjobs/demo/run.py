"""The demo, step by step: migrate, serve, post replies, call the cron until all is scored; then send it all again."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import httpx
import psycopg
from psycopg.rows import DictRow, dict_row
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from leadjobs.app import MIGRATIONS, App
from leadjobs.demo.posts import Post, posts
from leadjobs.demo.replies import SECRETS, SOURCES
from leadjobs.demo.stand_in import KEY, has_openai_key, stand_in
from leadjobs.leads.views import LeadScoreView
from leadjobs.leads.workspaces import Profile, Source, save_workspace
from leadjobs.settings import Settings, read_settings
from leadjobs.store.connection import CONNECT
from leadjobs.store.embedded import EmbeddedPostgres
from leadjobs.store.migrate import migrate
from leadjobs.testing.serve import serve

CRON_SECRET = "demo-cron-secret"  # noqa: S105
MAX_TICKS = 40
AGAIN = 3  # times that each webhook is sent again, all at once

PROFILE = Profile(
    ideal_customer_profile="Dental practices and groups in Europe, 3 chairs or more; the person decides or signs.",
    service_description="Recall software that fills empty chairs by text message.",
    qualification_questions=(
        "How many chairs do you have?",
        "Who decides on new software?",
        "When do you want to start?",
    ),
)


class LeadLine(LeadScoreView):
    """One lead in the demo's table."""

    lead: str
    channel: str
    source: str
    text: str
    sentiment: str | None
    draft: str | None
    answer_ms: float
    reply_to_score_seconds: float | None


class DemoResult(BaseModel):
    """What the demo showed; its JSON is camelCase."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    ok: bool
    ai: str
    leads: list[LeadLine]
    ticks: int
    resent: int
    doubled: int
    refused_forgery: bool
    seconds: float


@dataclass(frozen=True, slots=True)
class Counts:
    """How many rows there are of everything that must not double."""

    leads: int
    messages: int
    jobs: int
    interactions: int
    scores: int
    drafts: int


Say = Callable[[str], None]
Show = Callable[[list[LeadLine]], None]


def run_demo(say: Say, show: Show) -> DemoResult:
    """Run the whole demo on a throw-away database; nothing of it is left behind."""
    begun = time.monotonic()
    with ExitStack() as stack:
        say("starting a throw-away PostgreSQL")
        url = stack.enter_context(EmbeddedPostgres(ephemeral=True)).url
        say("migrating: " + ", ".join(migrate(url, *MIGRATIONS[1:])))
        settings = stack.enter_context(_settings(url))
        asyncio.run(set_up(url))
        base_url = stack.enter_context(serve(App(lambda: settings).doors))
        say(f"serving the doors on {base_url}")
        connection = stack.enter_context(psycopg.connect(url, autocommit=True, row_factory=dict_row, **CONNECT))
        return _Demo(connection, base_url, "openai" if has_openai_key() else "stand-in", say, show).run(begun)


@contextmanager
def _settings(url: str) -> Iterator[Settings]:
    """Settings of the demo's own; with your OpenAI key where you have one, else with the local stand-in."""
    own = {
        "database_url": url,
        "cron_secret": CRON_SECRET,
        **SECRETS,
        "public_url": None,
        "budget_seconds": 60.0,
    }
    if has_openai_key():
        yield read_settings(**own)
        return
    with serve(stand_in()) as openai_url:
        yield read_settings(**own, openai_api_key=KEY, openai_base_url=f"{openai_url}/v1")


async def set_up(url: str) -> None:
    """Make the demo's workspace, which owns the accounts that its replies come from."""
    await save_workspace(url, "Demo", PROFILE, [Source.parse(text) for text in SOURCES])


class _Demo:
    def __init__(self, connection: psycopg.Connection[DictRow], base_url: str, ai: str, say: Say, show: Show) -> None:
        self._connection, self._base_url, self._ai, self._say, self._show = connection, base_url, ai, say, show
        self._answer_ms: dict[str, float] = {}

    def run(self, begun: float) -> DemoResult:
        """Post, drain, look; then again."""
        with httpx.Client(timeout=90) as http:
            calls = posts(self._base_url)
            self._say(f"posting {len(calls)} replies, signed as their providers sign them")
            for call in calls:
                self._answer_ms[call.reply.name] = self._post(http, call)
                self._show(self._lines())
            refused = self._is_forgery_refused(http, calls[0])
            self._say("calling the cron door until every lead is scored" + self._about_ai())
            ticks = self._drain(http)
            before = self._counts()
            self._say(
                f"sending all {len(calls)} webhooks again, {AGAIN} times at once, and calling the cron door again"
            )
            asyncio.run(_post_at_once([call for call in calls for _ in range(AGAIN)]))
            ticks += self._drain(http)
            after, lines = self._counts(), self._lines()
        doubled = sum(abs(getattr(after, name) - getattr(before, name)) for name in Counts.__dataclass_fields__)
        is_scored = len(lines) == len(calls) and all(line.overall_score is not None for line in lines)
        return DemoResult(
            ok=is_scored and doubled == 0 and refused,
            ai=self._ai,
            leads=lines,
            ticks=ticks,
            resent=len(calls) * AGAIN,
            doubled=doubled,
            refused_forgery=refused,
            seconds=round(time.monotonic() - begun, 1),
        )

    def _about_ai(self) -> str:
        return " (by a local STAND-IN, no AI: set OPENAI_API_KEY for the real one)" if self._ai == "stand-in" else ""

    def _post(self, http: httpx.Client, call: Post) -> float:
        begun = time.perf_counter()
        http.post(call.url, headers=dict(call.headers), content=call.body).raise_for_status()
        return round((time.perf_counter() - begun) * 1000, 1)

    def _is_forgery_refused(self, http: httpx.Client, call: Post) -> bool:
        forged = call.url.replace(SECRETS["emailbison_secret"], "guessed")
        return http.post(forged, headers=dict(call.headers), content=call.body).status_code == httpx.codes.UNAUTHORIZED

    def _drain(self, http: httpx.Client) -> int:
        for tick in range(1, MAX_TICKS + 1):
            answer = http.post(f"{self._base_url}/api/cron", headers={"Authorization": f"Bearer {CRON_SECRET}"})
            report = answer.raise_for_status().json()
            self._show(self._lines())
            self._say(
                f"cron call {tick}: {report['claimed']} claimed, {report['succeeded']} succeeded, {report['due']} due"
            )
            if report["due"] == 0 and not self._unfinished():
                return tick
        return MAX_TICKS

    def _unfinished(self) -> int:
        row = self._connection.execute(
            "SELECT count(*) AS jobs FROM background_job WHERE state IN ('PENDING', 'RUNNING')"
        ).fetchone()
        assert row is not None
        return int(row["jobs"])

    def _counts(self) -> Counts:
        row = self._connection.execute(
            "SELECT (SELECT count(*) FROM lead) AS leads, (SELECT count(*) FROM message) AS messages,"
            " (SELECT count(*) FROM background_job) AS jobs, (SELECT count(*) FROM ai_interaction) AS interactions,"
            " (SELECT count(*) FROM lead_score) AS scores, (SELECT count(*) FROM reply_draft) AS drafts"
        ).fetchone()
        assert row is not None
        return Counts(**row)

    def _lines(self) -> list[LeadLine]:
        rows = self._connection.execute(
            "SELECT lead.fit_score, lead.intent_score, lead.overall_score, lead.score_reasoning, lead.scored_at,"
            " lower(split_part(job.type, '_', 1)) AS channel, message.source, message.body AS text, message.sentiment,"
            " reply_draft.body AS draft,"
            " extract(epoch FROM (SELECT max(scored_at) FROM lead_score WHERE lead_score.lead_id = lead.id)"
            "  - message.created_at)::float8 AS reply_to_score_seconds"
            " FROM message JOIN lead ON lead.id = message.lead_id"
            " JOIN background_job AS job ON job.dedupe_key = 'message:' || message.id"
            " LEFT JOIN reply_draft ON reply_draft.message_id = message.id"
            " WHERE message.direction = 'inbound' ORDER BY message.id"
        ).fetchall()
        names = list(self._answer_ms.items())
        return [
            LeadLine(lead=name, answer_ms=answer_ms, **row) for (name, answer_ms), row in zip(names, rows, strict=False)
        ]


async def _post_at_once(calls: list[Post]) -> None:
    async with httpx.AsyncClient(timeout=90) as http:
        answers = await asyncio.gather(
            *(http.post(call.url, headers=dict(call.headers), content=call.body) for call in calls)
        )
    for answer in answers:
        answer.raise_for_status()
