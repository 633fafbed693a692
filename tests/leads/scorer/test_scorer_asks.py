"""The scorer, by the real SDK over real HTTP: what it asks, pays and records."""

import asyncio
import json
import subprocess
import sys

import pytest
from tests.leads.scorer.stage import KEY, LEAD, SCORE, Book

from leadjobs.errors import SettingsError
from leadjobs.leads.models import Usage
from leadjobs.leads.prompt import (
    INSTRUCTIONS,
    SCORE_SCHEMA,
    Score,
    estimated_tokens,
    user_prompt,
)
from leadjobs.leads.scorer import (
    AIAnswer,
    AICall,
    Scorer,
)
from leadjobs.testing.openai import OpenAIStandIn


async def test_a_lead_is_scored_and_the_bill_comes_with_it(openai: OpenAIStandIn, scorer: Scorer, book: Book) -> None:
    """The score, the model and the id as answered, the usage as billed and what it cost."""
    openai.cached_tokens, openai.reasoning_tokens = 100, 20

    answer = await scorer.score(LEAD, time_left=30, ledger=book)

    used = Usage(
        input_tokens=book.calls[0].estimated_input_tokens,
        cached_tokens=100,
        cache_write_tokens=0,
        output_tokens=-(-len(json.dumps(SCORE)) // 4) + 20,
        reasoning_tokens=20,
    )
    assert answer.score == Score(fit=3, intent=4, overall=4, reasoning="Asks to be called.")
    assert (answer.model, answer.response_id) == ("gpt-5-nano", "resp_0001")
    assert answer.usage == used
    # dollars a million tokens, times a thousand to stay with integers: 0.05 in, 0.005 cached, 0.40 out
    assert answer.cost_usd_micros == -(-((used.input_tokens - 100) * 50 + 100 * 5 + used.output_tokens * 400) // 1_000)


async def test_the_ledger_is_written_before_and_after_the_call(
    openai: OpenAIStandIn, scorer: Scorer, book: Book
) -> None:
    """The first entry says what is about to be asked, the second how it ended."""
    answer = await scorer.score(LEAD, time_left=30, ledger=book)

    assert book.events == ["asked 1", "answered 1"]
    assert book.calls == [
        AICall(
            model="gpt-5-nano",
            prompt_version="lead_scoring.score.v1",
            feature="lead_scoring.score",
            api="responses",
            estimated_input_tokens=estimated_tokens(user_prompt(LEAD)),
            max_output_tokens=openai.calls[0]["max_output_tokens"],
            attempt_in_job=1,
        )
    ]
    assert book.only_answer == AIAnswer(
        status="succeeded",
        usage=answer.usage,
        cost_usd_micros=answer.cost_usd_micros,
        latency_ms=book.only_answer.latency_ms,
        response_id="resp_0001",
        request_id="req_0001",
        model="gpt-5-nano",
        service_tier="default",
        error=None,
    )
    assert 0 <= book.only_answer.latency_ms < 30_000


async def test_the_request_says_all_that_the_answer_depends_on(
    openai: OpenAIStandIn, scorer: Scorer, book: Book
) -> None:
    """Fixed instructions apart from the prompt, a strict schema, the entry's effort, a budget; nothing is stored."""
    await scorer.score(LEAD, time_left=30, ledger=book)

    assert openai.calls == [
        {
            "model": "gpt-5-nano",
            "instructions": INSTRUCTIONS,
            "input": user_prompt(LEAD),
            "text": {
                "format": {"type": "json_schema", "name": "lead_score", "schema": SCORE_SCHEMA, "strict": True},
                "verbosity": "low",
            },
            "reasoning": {"effort": "low"},
            "max_output_tokens": 400,
            "service_tier": "default",
            "store": False,
        }
    ]


async def test_each_model_is_asked_as_its_entry_says(address: str, openai: OpenAIStandIn, book: Book) -> None:
    """Luna without reasoning and without verbosity; a model we know nothing of without either, at an unknown cost."""
    openai.models = ("gpt-6-luna", "house-model")
    answers = []
    for model in openai.models:
        scorer = Scorer(api_key=KEY, model=model, base_url=f"{address}/v1")
        answers.append(await scorer.score(LEAD, time_left=30, ledger=book))
        await scorer.aclose()

    luna, house = openai.calls
    assert luna["reasoning"] == {"effort": "none"}
    assert "verbosity" not in luna["text"]
    assert "reasoning" not in house
    assert "verbosity" not in house["text"]
    assert answers[0].cost_usd_micros is not None
    assert answers[1].usage is not None
    assert answers[1].cost_usd_micros is None


async def test_jobs_side_by_side_share_one_client(openai: OpenAIStandIn, scorer: Scorer) -> None:
    """Ten leads at once: ten calls, ten closed ledgers, one client."""
    books = [Book() for _ in range(10)]

    await asyncio.gather(*(scorer.score(LEAD, time_left=30, ledger=book) for book in books))

    first = scorer._client
    await scorer.score(LEAD, time_left=30, ledger=Book())
    assert scorer._client is first
    assert len(openai.calls) == 11
    assert all(book.only_answer.status == "succeeded" for book in books)


async def test_a_closed_scorer_opens_anew(scorer: Scorer, book: Book) -> None:
    """Closing ends connections, not the scorer; closing twice does nothing."""
    await scorer.score(LEAD, time_left=30, ledger=book)
    await scorer.aclose()
    await scorer.aclose()

    assert (await scorer.score(LEAD, time_left=30, ledger=Book())).score.fit == 3


async def test_a_key_pasted_with_its_newline_works(address: str, openai: OpenAIStandIn, book: Book) -> None:
    """White space around a secret is never meant."""
    scorer = Scorer(api_key=f"{KEY}\n", base_url=f"{address}/v1")

    assert (await scorer.score(LEAD, time_left=30, ledger=book)).score.fit == 3
    await scorer.aclose()


def test_a_blank_key_is_a_setting_to_fix() -> None:
    """A missing key fails at start, not in every job."""
    with pytest.raises(SettingsError, match="key is blank"):
        Scorer(api_key=" \n")


def test_importing_the_scorer_loads_no_sdk() -> None:
    """Functions that only know of scoring do not pay for the SDK."""
    heavy = "'openai' not in sys.modules and 'tenacity' not in sys.modules and 'sqlalchemy' not in sys.modules"

    subprocess.run([sys.executable, "-c", f"import leadjobs.leads.scorer, sys; assert {heavy}"], check=True, timeout=60)
