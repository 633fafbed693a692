"""Budgets of a workspace for asking models: reserved before each call, settled by its bill, and no cap is passed."""

import asyncio
import json
import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg import AsyncConnection
from psycopg.rows import DictRow
from tests.leads.telling import NOON, Stage
from typer.testing import CliRunner

from leadjobs import Done, Job, NewJob, Outcome, Registry, Runner, enqueue_sync, handler
from leadjobs.app import App
from leadjobs.cli.entry import cli
from leadjobs.errors import ProviderError
from leadjobs.leads.ai.asking import AI, Answer
from leadjobs.leads.ai.ledger import DatabaseLedger
from leadjobs.leads.ai.spend import By, newest_failures, read_bill
from leadjobs.leads.inbound import Channel, Identity
from leadjobs.leads.post_process.sentiment import Sentiment, sentiment_question
from leadjobs.leads.sessions import Sessions
from leadjobs.leads.transcript import Line
from leadjobs.settings import Settings
from leadjobs.store.budget_desk import BudgetDesk
from leadjobs.store.connection import connect
from leadjobs.testing.openai import Behaviour, Delay, Failed, Fault, OpenAIStandIn, Refuse

Db = AsyncConnection[DictRow]
PLENTY = 1_000_000_000

LEDGER = """
SELECT CAST(coalesce(sum(input_tokens + output_tokens), 0) AS bigint) AS tokens,
       CAST(coalesce(sum(cost_usd_micros), 0) AS bigint) AS usd_micros,
       count(*) FILTER (WHERE cost_usd_micros IS NULL AND (status <> 'failed' OR input_tokens IS NOT NULL
                                                           OR request_id IS NULL)) AS unknown
  FROM ai_interaction
"""
BUDGET = """
SELECT unit, CAST((SELECT sum(used) FROM job_budget_day AS today WHERE today.unit = spend.unit) AS bigint) AS used,
       CAST(coalesce(sum(actual), 0) AS bigint) AS known, count(*) FILTER (WHERE actual IS NULL) AS unknown,
       CAST(coalesce(sum(reserved) FILTER (WHERE actual IS NULL), 0) AS bigint) AS reserved
  FROM job_spend AS spend GROUP BY unit ORDER BY unit
"""


@dataclass(frozen=True, slots=True)
class Accounts:
    """What two books say of one thing: the ledger of calls, and the day of the workspace."""

    tokens: tuple[int, int]
    usd_micros: tuple[int, int]
    unknown: tuple[int, int]
    used_usd_micros: int

    def agree(self) -> bool:
        return all(left == right for left, right in (self.tokens, self.usd_micros, self.unknown))


@pytest.fixture
async def stage(app: App, workspace: int, db: Db, url: str) -> Stage:
    await db.execute("INSERT INTO workspace_source VALUES ('told', 'acme', %s)", [workspace])
    return Stage(app, db, url)


@pytest.fixture
def quick(stage: Stage, settings: Settings, db: Db, url: str) -> Stage:
    """The same on an app that waits half a second for an answer, and moves on where its model is gone."""
    changed = settings.model_copy(update={"ai_call_seconds": 0.5, "ai_model": "gpt-5-nano"})
    return Stage(App(lambda: changed), db, url)


async def replies(stage: Stage, count: int) -> None:
    """A reply each of so many people."""
    for number in range(count):
        who = f"p{number}@x.example"
        await stage.say(number, identities=(Identity.email(who),), sender=who, text=f"What does it cost, {number}?")


async def accounts(stage: Stage) -> Accounts:
    (ledger,), (tokens, money) = await stage.rows(LEDGER), await stage.rows(BUDGET)
    for unit in (tokens, money):
        assert unit["used"] == unit["known"] + unit["reserved"]
    return Accounts(
        tokens=(ledger["tokens"], tokens["known"]),
        usd_micros=(ledger["usd_micros"], money["known"]),
        unknown=(ledger["unknown"], money["unknown"]),
        used_usd_micros=money["used"],
    )


async def set_cap(url: str, tenant: int | str, unit: str, cap: int) -> int:
    async with connect(url) as connection:
        return await BudgetDesk(connection).set_cap(str(tenant), unit, cap)


FAILURES: tuple[Behaviour, ...] = (
    *(fault for fault in Fault if fault not in {Fault.OUT_OF_RANGE, Fault.MISSING_KEY}),
    Failed("server_error"),
    Delay(0),
    Delay(30),
    Refuse(status=400),
    Refuse(status=500),
    Refuse(status=429, headers={"retry-after": "1"}),
    Refuse(status=404, code="model_not_found"),
)


@pytest.mark.parametrize("seed", range(3))
async def test_the_day_and_the_ledger_agree_whatever_becomes_of_calls(
    quick: Stage, workspace: int, openai: OpenAIStandIn, url: str, seed: int
) -> None:
    """To the last token and millionth: bills, refusals, answers cut off and asked for again, lost answers, retries."""
    dice, usual = random.Random(seed), openai.answer

    def answer(asked: dict[str, Any]) -> dict[str, Any]:
        openai.cached_tokens, openai.reasoning_tokens = dice.choice([0, 64]), dice.choice([0, 100, 390])
        return usual(asked)

    openai.answer = answer
    openai.then(*dice.choices(FAILURES, k=24))
    await replies(quick, 6)
    await set_cap(url, workspace, "usd_micros", PLENTY)
    for _ in range(12):
        await quick.run()
        await quick.db.execute("DELETE FROM job_hold")
        await quick.db.execute("UPDATE background_job SET run_at = now() WHERE state = 'PENDING'")

    found = await accounts(quick)

    assert found.agree(), found
    assert min(found.usd_micros[0], found.unknown[0]) > 0
    assert [] == await quick.rows("SELECT 1 FROM background_job WHERE state IN ('PENDING', 'RUNNING')")


SOON_AT_ONCE = """
UPDATE background_job SET run_at = now(), lease_no = lease_no + 1
 WHERE state = 'PENDING' AND run_at BETWEEN now() AND now() + interval '1 minute' RETURNING id
"""


async def test_no_call_passes_the_cap_and_what_does_not_fit_waits_for_tomorrow(
    stage: Stage, workspace: int, openai: OpenAIStandIn, url: str
) -> None:
    """Answers as long as they may be, twenty jobs at once: at no attempt; with a larger cap all goes on at once."""
    openai.reasoning_tokens = 380
    await replies(stage, 20)
    await set_cap(url, workspace, "usd_micros", 10_000)

    await stage.run()
    while await stage.rows(SOON_AT_ONCE):  # who was refused only for what others had reserved asks again
        await stage.run()

    found = await accounts(stage)
    assert found.agree()
    assert 5_000 < found.used_usd_micros <= 10_000
    waiting = await stage.rows(
        "SELECT attempts, reason, run_at = (date_trunc('day', now() AT TIME ZONE 'UTC') + interval '1 day')"
        " AT TIME ZONE 'UTC' AS is_tomorrow FROM background_job WHERE state = 'PENDING'"
    )
    assert [] == [row for row in waiting if "usd_micros asked for, but" not in str(row["reason"])]
    assert 10 < len(waiting) < 20
    assert {(0, True)} == {(row["attempts"], row["is_tomorrow"]) for row in waiting}
    assert len(waiting) == await set_cap(url, workspace, "usd_micros", PLENTY)
    await stage.run()
    assert [20] == [row["count"] for row in await stage.rows("SELECT count(*) FROM lead WHERE overall_score = 3")]
    assert (await accounts(stage)).agree()


async def test_a_call_that_does_not_fit_is_not_made(
    stage: Stage, workspace: int, openai: OpenAIStandIn, url: str
) -> None:
    """No call, no row of the ledger, nothing used; what needs no model is done."""
    await set_cap(url, workspace, "tokens", 100)
    await stage.say(1, text="Call me on +44 161 496 0000")

    await stage.run()

    assert ([], [], []) == (openai.calls, await stage.rows("SELECT 1 FROM ai_interaction"), await stage.rows(BUDGET))
    assert ["consent", "transcript", "facts", "enrichment"] == list(await stage.steps())
    (job,) = await stage.rows("SELECT state, attempts, reason FROM background_job")
    assert ("PENDING", 0) == (job["state"], job["attempts"])
    assert f"raise the cap, `leadjobs budget set '{workspace}' tokens AMOUNT`" in job["reason"]


async def test_without_a_cap_nothing_is_reserved(stage: Stage, openai: OpenAIStandIn, url: str) -> None:
    """No amount, no day; a cap in something else is none, one of everybody is one."""
    async with connect(url) as connection:
        await BudgetDesk(connection).set_cap("*", "sms", 0)
    await stage.say(1)
    await stage.run()
    assert (3, []) == (len(openai.calls), await stage.rows("SELECT 1 FROM job_spend"))
    await set_cap(url, "*", "tokens", PLENTY)

    await stage.say(2, sent_at=NOON + timedelta(hours=1))
    await stage.run()

    assert 3 == len(openai.calls) // 2 == len(await stage.rows("SELECT 1 FROM job_spend WHERE unit = 'tokens'"))


async def test_a_run_that_lost_its_job_in_the_call_leaves_the_amount_as_unknown(
    stage: Stage, openai: OpenAIStandIn, url: str
) -> None:
    """The ledger knows the bill, the day counts the most that it can have been: never less."""
    usual = openai.answer

    def answer(asked: dict[str, Any]) -> dict[str, Any]:
        with psycopg.connect(url) as connection:
            connection.execute("UPDATE background_job SET lease_no = lease_no + 1 WHERE state = 'RUNNING'")
        return usual(asked)

    openai.answer = answer
    await set_cap(url, "*", "usd_micros", PLENTY)
    await stage.say(1)
    assert 1 == (await stage.run()).lost

    found = await accounts(stage)
    assert ((0, 1), 0) == (found.unknown, found.usd_micros[1])
    assert found.used_usd_micros >= found.usd_micros[0] > 0


async def test_a_former_owner_asks_nothing(stage: Stage, openai: OpenAIStandIn, url: str) -> None:
    """Whoever lost the job before the call learns it while reserving: nothing is bought for nobody."""
    await stage.say(1)
    await stage.run()  # a first question imports the SDK, and in that second the runner would learn of the loss as well
    openai.calls.clear()
    await stage.db.execute(
        "CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " UPDATE background_job SET lease_no = lease_no + 1 WHERE id = new.job_id; RETURN NULL; END $$;"
        " CREATE TRIGGER lost AFTER INSERT ON job_step FOR EACH ROW WHEN (new.name = 'enrichment')"
        " EXECUTE FUNCTION lose()"
    )
    await set_cap(url, "*", "usd_micros", PLENTY)
    await stage.say(2, sent_at=NOON + timedelta(hours=1))

    assert 1 == (await stage.run()).lost

    assert [] == openai.calls


async def test_what_is_asked_is_on_the_bill(
    url: str, sessions: Sessions, workspace: int, openai: OpenAIStandIn, openai_url: str
) -> None:
    """Real calls on the real ledger: one answered, one refused with a bill, one refused at the door."""
    openai.answer, openai.reasoning_tokens = lambda _: {"sentiment": "neutral"}, 7
    line = Line(sent_at=datetime.now(UTC), channel=Channel.SMS, is_inbound=True, subject=None, text="I'm at 555-0100")
    question = sentiment_question(line, "")
    whose: dict[str, Any] = {"workspace_id": workspace, "lead_id": 1}
    ai, answers = AI(api_key="sk-test", base_url=openai_url), list[Answer[Sentiment]]()

    @handler("ASK", payload=dict)
    async def ask(job: Job[dict[str, Any]]) -> Outcome:
        ledger = DatabaseLedger(sessions=sessions, source="test", job=job, is_capped=True, **whose)
        answers.append(await ai.ask(question, time_left=30, ledger=ledger))
        for behaviour in (Fault.REFUSAL, Refuse(status=400, message="555-0100")):
            openai.then(behaviour)
            with pytest.raises(ProviderError):
                await ai.ask(question, time_left=30, ledger=ledger)
        return Done()

    with psycopg.connect(url) as own:
        enqueue_sync(own, NewJob(type="ASK", tenant=str(workspace)))
    assert 1 == (await Runner(url, Registry(ask), on_end=ai.aclose).run()).succeeded
    (answer,) = answers

    async with connect(url) as connection:
        found = (await read_bill(connection, By.FEATURE, days=30)).lines
        failures = await newest_failures(connection, days=1, workspace="Acme")

    assert answer.usage is not None
    assert [("sentiment.classify", 3, 1, 2, 2 * answer.usage.input_tokens, True)] == [
        (line.name, line.calls, line.succeeded, line.failed, line.input_tokens, line.cost_complete) for line in found
    ]
    assert ["ProviderRefusedError", "ProviderRefusedError"] == [str(x.error).partition(":")[0] for x in failures]
    assert failures[0].id > failures[1].id
    assert "555" not in repr(failures)


async def test_a_model_without_prices_counts_as_the_dearest(
    settings: Settings, workspace: int, openai: OpenAIStandIn, db: Db, url: str
) -> None:
    """Its tokens are known, its money is not: a cap in money still ends it."""
    await db.execute("INSERT INTO workspace_source VALUES ('told', 'acme', %s)", [workspace])
    stage = Stage(App(lambda: settings.model_copy(update={"ai_model": "my-own"})), db, url)
    openai.models = ("my-own",)
    await set_cap(url, workspace, "usd_micros", PLENTY)
    await stage.say(1)
    await stage.run()

    found = await accounts(stage)

    assert (True, (3, 3), (0, 0)) == (found.tokens[0] == found.tokens[1], found.unknown, found.usd_micros)
    rows = await stage.rows(
        "SELECT money.reserved AS money, tokens.reserved AS tokens, max_output_tokens AS output FROM job_spend AS money"
        " JOIN job_spend AS tokens USING (job_id, what) JOIN ai_interaction ON feature = what"
        " WHERE money.unit = 'usd_micros' AND tokens.unit = 'tokens'"
    )
    assert 3 == len(rows)
    for row in rows:  # $0.25 a million in, $1.20 out
        assert row["money"] == -(-((row["tokens"] - row["output"]) * 25 + row["output"] * 120) // 100)


async def test_the_command_line_shows_what_is_left(
    stage: Stage, workspace: int, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Spent and cap of today where there is a cap, in dollars; nothing of it where there is none."""
    monkeypatch.setenv("DATABASE_URL", url)
    assert "Today" not in await _shown("ai")
    await _shown("budget", "set", str(workspace), "usd_micros", "5000000")
    await _shown("budget", "set", "*", "tokens", "1000000")
    await stage.say(1)
    await stage.run()

    bill = json.loads(await _shown("ai", "--json"))
    (tokens, money), total = bill["today"], bill["total"]

    used = (await accounts(stage)).used_usd_micros
    assert money == {
        "workspace": "Acme",
        "unit": "usd_micros",
        "cap": 5_000_000,
        "isDefault": False,
        "used": used,
        "unknown": 0,
    }
    assert (f"{used / 1e6:.6f}", total["inputTokens"] + total["outputTokens"]) == (total["costUsd"], tokens["used"])
    assert ("tokens", True) == (tokens["unit"], tokens["isDefault"])
    for words in ("Today", "5.000000", "1000000 (that of *)"):
        assert words in await _shown("ai")


async def _shown(*argv: str) -> str:
    done = await asyncio.to_thread(CliRunner().invoke, cli, list(argv), env={"COLUMNS": "200"})
    assert 0 == done.exit_code, done.output
    return done.output
