"""What a backfill may cost: the bound holds whatever calls cost, and where it is reached the backfill says so."""

import json
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from psycopg.types.json import Jsonb
from tests.leads.backfill.stage import MODEL, BackfillStage

from leadjobs.errors import SettingsError
from leadjobs.leads.ai.models import Usage, cost_usd_micros, find_model
from leadjobs.leads.inbound import LeadId, MessageId
from leadjobs.leads.jobs import LeadMessage
from leadjobs.leads.scoring.backfill import BackfillError
from leadjobs.leads.scoring.costs import usd, worst_usd_micros
from leadjobs.leads.scoring.prompt import INSTRUCTIONS, SCORE_SCHEMA, scoring_question
from leadjobs.leads.scoring.scores import open_case
from leadjobs.store.budget_desk import BudgetDesk
from leadjobs.store.connection import connect
from leadjobs.testing.openai import OpenAIStandIn

UNKNOWN = """
UPDATE ai_interaction SET cost_usd_micros = NULL, input_tokens = NULL, status = %s, request_id = %s
 WHERE job_id IS NOT NULL
"""


@pytest.mark.parametrize("seed", range(4))
async def test_the_bound_holds_whatever_calls_cost(stage: BackfillStage, openai: OpenAIStandIn, seed: int) -> None:
    """Costs from next to nothing to nearly the worst, answers that are cut off: never over; with more money it ends."""
    dice, usual = random.Random(seed), openai.answer

    def answer(asked: dict[str, Any]) -> dict[str, Any]:
        openai.cache_write_tokens = dice.choice([0, dice.randrange(90_000), 90_000])
        openai.reasoning_tokens = dice.choice([0, 300, 700])
        return usual(asked)

    openai.answer = answer
    worst = await stage.worst()
    await stage.add_leads(24)
    backfill_id = await stage.start(max_usd_micros=4 * worst)
    for _ in range(40):
        await stage.minute()
        assert await stage.spent() <= 4 * worst
        if (await stage.backfill())["state"] != "running":
            break

    paused, spent = await stage.backfill(), await stage.spent()
    assert ("paused", True) == (paused["state"], paused["enqueued"] < 24)
    assert (
        f"spent {usd(spent)} of {usd(4 * worst)}, and one lead may cost {usd(worst)}: raise --max-usd"
        == paused["reason"]
    )
    assert 3 * worst < spent
    await stage.resume(backfill_id, max_usd_micros=100 * worst)
    await stage.minutes_until("finished")
    assert 24 == await stage.count("SELECT count(DISTINCT lead_id) FROM lead_score")


async def test_what_has_not_ended_is_counted_at_its_worst(stage: BackfillStage) -> None:
    """Money for three: three are enqueued, and nothing more while they have not ended; it waits, and is not paused."""
    await stage.add_leads(5)
    await stage.start(max_usd_micros=4 * await stage.worst() - 1)
    no_scoring = stage.runner(scores=False)
    for _ in range(3):
        await stage.minute(no_scoring)
    assert (3, "running") == (await stage.enqueued(), (await stage.backfill())["state"])
    assert "waits for 3 jobs to end" in (await stage.driver())["reason"]
    await stage.minutes_until("finished")
    assert 5 == await stage.enqueued()


@pytest.mark.parametrize(
    ("status", "request_id", "state"),
    [
        ("asked", None, "paused"),  # nobody wrote down how it ended
        ("failed", None, "paused"),  # a timeout: it may have been billed
        ("succeeded", "req_1", "paused"),  # no usage in the answer
        ("failed", "req_1", "finished"),  # the provider itself refused
    ],
)
async def test_a_call_of_unknown_cost_counts_as_a_whole_lead(
    stage: BackfillStage, status: str, request_id: str | None, state: str
) -> None:
    """Unless the provider answered with a failure and no usage."""
    await stage.add_leads(6)
    await stage.start(max_usd_micros=4 * await stage.worst() - 1)
    await stage.minute()
    await stage.db.execute(UNKNOWN, (status, request_id))
    await stage.minutes_until(state)
    assert (3 if state == "paused" else 6) == await stage.enqueued()


async def test_a_bill_without_a_price_is_of_unknown_cost(stage: BackfillStage) -> None:
    """A failed call that was billed counts, though the provider answered it."""
    await stage.add_leads(6)
    await stage.start(max_usd_micros=4 * await stage.worst() - 1)
    await stage.minute()
    await stage.db.execute("UPDATE ai_interaction SET cost_usd_micros = NULL, status = 'failed'")
    await stage.minutes_until("paused")


async def test_calls_of_others_do_not_count(stage: BackfillStage) -> None:
    """The live scorings and another backfill's are no part of this one's spend."""
    await stage.add_leads(2)
    await stage.start()
    await stage.minutes_until("finished")
    await stage.db.execute("UPDATE ai_interaction SET cost_usd_micros = 1000000000")
    await stage.start(is_rescore=True, max_usd_micros=2 * await stage.worst())
    await stage.minutes_until("finished")
    assert "spent $0.0" in (await stage.backfill())["reason"]


async def test_without_prices_nothing_starts(stage: BackfillStage) -> None:
    """No bound can be kept: the error names the fix; a running backfill pauses with it."""
    with pytest.raises(
        SettingsError, match=r"prices of my-own are not known.*set LEADJOBS_AI_MODEL to one of gpt-5-nano"
    ):
        worst_usd_micros("my-own", words_bytes=0)
    await stage.add_leads(2)
    await stage.start()
    await stage.minute(stage.runner(model="my-own"))
    backfill = await stage.backfill()
    assert ("paused", 0) == (backfill["state"], await stage.enqueued())
    assert "the prices of my-own are not known" in backfill["reason"]


async def test_too_little_money_for_one_lead_is_refused(stage: BackfillStage) -> None:
    """It would pause before its first page."""
    await stage.add_leads(1)
    with pytest.raises(BackfillError, match=r"one lead may cost \$0\.\d+, and all may cost \$0\.0001: raise it"):
        await stage.start(max_usd_micros=100)
    assert 0 == await stage.count("SELECT count(*) FROM scoring_backfill")


async def test_the_worst_case_is_one(stage: BackfillStage) -> None:
    """The dearest answers to the largest prompt that the database can make cost no more than the bound counts."""
    icp, questions = "é" * 5_000, [f"{number}: なぜ?" for number in range(300)]
    await stage.db.execute(
        "UPDATE workspace_settings"
        " SET ideal_customer_profile = %s, service_description = %s, qualification_questions = %s",
        (icp, icp, Jsonb(questions)),
    )
    (lead,) = await stage.add_leads(1, words="\U0001f600" * 30_000)
    wide = "\U0001f600" * 300
    await stage.db.execute(
        "UPDATE lead SET company = %s, job_title = %s, industry = %s, headcount = %s", (wide, wide, wide, wide)
    )
    await stage.db.execute(
        "INSERT INTO message (workspace_id, lead_id, channel, direction, source, message_key, body, sender, recipient,"
        " sent_at) SELECT %s, %s, 'sms', 'outbound', 'test', 'more:' || n, repeat(%s, 6000), '', '', now()"
        " FROM generate_series(1, 70) AS n",
        (stage.workspace, lead, "\U0001f600"),
    )
    async with stage.sessions() as session:
        case = await open_case(session, LeadMessage(LeadId(lead), MessageId(1)), str(stage.workspace))
    assert not isinstance(case, str)
    question = scoring_question(case.question)
    assert len(question.prompt) > 24_000 - 6_000
    tokens = len(question.prompt.encode()) + len(INSTRUCTIONS.encode()) + len(str(question.format))
    model, costs = find_model(MODEL), 0
    for budget in (question.output_tokens, 2 * question.output_tokens):
        usage = Usage(
            input_tokens=tokens, cached_tokens=0, cache_write_tokens=tokens, output_tokens=budget, reasoning_tokens=0
        )
        costs += cost_usd_micros(model, usage) or 0
    worst = await stage.worst()
    assert costs <= worst < 1.5 * costs


def test_the_worst_case_is_two_calls_and_the_second_may_answer_twice_as_long() -> None:
    """A token for each byte of the longest transcript, four details and the rules; answers of 800 and 1,600."""
    model, rules = find_model(MODEL), (INSTRUCTIONS + json.dumps(SCORE_SCHEMA)).encode()
    assert model.cache_write_usd is not None
    assert model.output_usd is not None
    input_tokens = 4 * 24_000 + 4 * 4 * 200 + len(rules)
    known = 2 * input_tokens * model.cache_write_usd + (800 + 1_600) * model.output_usd
    assert known < worst_usd_micros(MODEL, words_bytes=0) < known + 200


def test_the_worst_case_looks_at_the_models_that_follow() -> None:
    """A model that is gone is replaced by its successor in the middle of a backfill, at another price."""
    assert worst_usd_micros("gpt-6-luna", words_bytes=0) == worst_usd_micros("gpt-5-nano", words_bytes=0)
    assert worst_usd_micros("gpt-5.6-luna", words_bytes=0) > worst_usd_micros("gpt-6-luna", words_bytes=0)
    assert worst_usd_micros(MODEL, words_bytes=8) > worst_usd_micros(MODEL, words_bytes=0)


async def test_a_workspace_s_own_budget_holds_beside_the_bound(stage: BackfillStage, url: str) -> None:
    """Of one call's cost each keeps its own account: neither counts it twice, and the backfill waits for tomorrow."""
    await stage.add_leads(12)
    stage.clock.advance(timedelta(days=1, hours=12 - datetime.now(UTC).hour))  # the day does not end meanwhile
    async with connect(url) as connection:
        await BudgetDesk(connection).set_cap(str(stage.workspace), "usd_micros", 2_000)
    await stage.start()
    for _ in range(3):
        await stage.minute()

    assert 0 < await stage.count("SELECT count(*) FROM ai_interaction") < 12
    assert (
        await stage.spent() == await stage.count("SELECT used FROM job_budget_day WHERE unit = 'usd_micros'") <= 2_000
    )
    assert "jobs have not ended" in (await stage.driver())["reason"]
    async with connect(url) as connection:
        await BudgetDesk(connection, stage.clock).set_cap(str(stage.workspace), "usd_micros", 1_000_000)
    await stage.minutes_until("finished")
    spent = await stage.spent()
    assert f"12 leads enqueued, 0 jobs failed, spent {usd(spent)}" == (await stage.backfill())["reason"]
    assert spent == await stage.count("SELECT used FROM job_budget_day WHERE unit = 'usd_micros'")
