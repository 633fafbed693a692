"""Asking a model, by the real SDK over real HTTP: what it asks, pays and records."""

import asyncio
import json
import subprocess
import sys
from typing import Any

import pytest
from tests.leads.ai.stage import KEY, LEAD, QUESTION, SCORE, Book

from leadjobs.errors import SettingsError
from leadjobs.leads.ai.asking import AI
from leadjobs.leads.ai.calls import AIAnswer, AICall
from leadjobs.leads.ai.models import Usage
from leadjobs.leads.scoring.prompt import (
    INSTRUCTIONS,
    SCORE_SCHEMA,
    Score,
    user_prompt,
)
from leadjobs.testing.openai import OpenAIStandIn


async def test_a_lead_is_scored_and_the_bill_comes_with_it(openai: OpenAIStandIn, ai: AI, book: Book) -> None:
    """The score, the model and the id as answered, the usage as billed and what it cost."""
    openai.cached_tokens, openai.reasoning_tokens = 100, 20

    answer = await ai.ask(QUESTION, time_left=30, ledger=book)

    used = Usage(
        input_tokens=QUESTION.input_tokens,
        cached_tokens=100,
        cache_write_tokens=0,
        output_tokens=-(-len(json.dumps(SCORE)) // 4) + 20,
        reasoning_tokens=20,
    )
    assert answer.value == Score(fit=3, intent=4, overall=4, reasoning="Asks to be called.")
    assert (answer.model, answer.response_id) == ("gpt-5-nano", "resp_0001")
    assert answer.usage == used
    # dollars a million tokens, times a thousand to stay with integers: 0.05 in, 0.005 cached, 0.40 out
    assert answer.cost_usd_micros == -(-((used.input_tokens - 100) * 50 + 100 * 5 + used.output_tokens * 400) // 1_000)


async def test_the_ledger_is_written_before_and_after_the_call(openai: OpenAIStandIn, ai: AI, book: Book) -> None:
    """The first entry says what is about to be asked, the second how it ended."""
    before: list[str] = []

    def write_down(_: dict[str, Any]) -> dict[str, Any]:
        before.extend(book.events)
        return SCORE

    openai.answer = write_down

    answer = await ai.ask(QUESTION, time_left=30, ledger=book)

    assert (["asked 1"], ["asked 1", "answered 1"]) == (before, book.events)
    assert book.calls == [
        AICall(
            model="gpt-5-nano",
            prompt_version="lead_scoring.score.v2",
            feature="lead_scoring.score",
            api="responses",
            most_input_tokens=QUESTION.most_input_tokens,
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


async def test_the_request_says_all_that_the_answer_depends_on(openai: OpenAIStandIn, ai: AI, book: Book) -> None:
    """Fixed instructions apart from the prompt, a strict schema, the entry's effort, a budget; nothing is stored."""
    await ai.ask(QUESTION, time_left=30, ledger=book)

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
        ai = AI(api_key=KEY, model=model, base_url=f"{address}/v1")
        answers.append(await ai.ask(QUESTION, time_left=30, ledger=book))
        await ai.aclose()

    luna, house = openai.calls
    assert luna["reasoning"] == {"effort": "none"}
    assert "verbosity" not in luna["text"]
    assert "reasoning" not in house
    assert "verbosity" not in house["text"]
    assert answers[0].cost_usd_micros is not None
    assert answers[1].usage is not None
    assert answers[1].cost_usd_micros is None


async def test_jobs_side_by_side_share_one_client(openai: OpenAIStandIn, ai: AI) -> None:
    """Ten leads at once: ten calls, ten closed ledgers, one client."""
    books = [Book() for _ in range(10)]

    await asyncio.gather(*(ai.ask(QUESTION, time_left=30, ledger=book) for book in books))

    first = ai._client
    await ai.ask(QUESTION, time_left=30, ledger=Book())
    assert ai._client is first
    assert len(openai.calls) == 11
    assert all(book.only_answer.status == "succeeded" for book in books)


async def test_a_closed_ai_opens_anew(ai: AI, book: Book) -> None:
    """Closing ends connections, not the asking; closing twice does nothing."""
    await ai.ask(QUESTION, time_left=30, ledger=book)
    await ai.aclose()
    await ai.aclose()

    assert (await ai.ask(QUESTION, time_left=30, ledger=Book())).value.fit == 3


async def test_a_key_pasted_with_its_newline_works(address: str, openai: OpenAIStandIn, book: Book) -> None:
    """White space around a secret is never meant."""
    ai = AI(api_key=f"{KEY}\n", base_url=f"{address}/v1")

    assert (await ai.ask(QUESTION, time_left=30, ledger=book)).value.fit == 3
    await ai.aclose()


def test_a_blank_key_is_a_setting_to_fix() -> None:
    """A missing key fails at start, not in every job."""
    with pytest.raises(SettingsError, match="key is blank"):
        AI(api_key=" \n")


def test_importing_it_loads_no_sdk() -> None:
    """Functions that only know of scoring do not pay for the SDK."""
    heavy = "'openai' not in sys.modules and 'tenacity' not in sys.modules and 'sqlalchemy' not in sys.modules"

    subprocess.run(
        [sys.executable, "-c", f"import leadjobs.leads.ai.asking, sys; assert {heavy}"], check=True, timeout=60
    )
