"""Asking at its limits: the output budget, the time left, cancellation, and models that are gone."""

import asyncio
import json
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send
from tests.leads.ai.stage import KEY, QUESTION, RATE_LIMIT, SCORE, Book, Switchboard

from leadjobs.errors import OutOfTimeError, ProviderRefusedError, ProviderUnavailableError
from leadjobs.leads.ai.asking import AI
from leadjobs.leads.ai.calls import AIAnswer, AICall
from leadjobs.leads.ai.errors import TruncatedAnswerError
from leadjobs.testing.openai import Delay, Fault, OpenAIStandIn, Refuse


async def test_a_truncated_answer_is_asked_for_once_more_with_twice_the_budget(
    openai: OpenAIStandIn, ai: AI, book: Book
) -> None:
    """Reasoning ate the first budget; the second is twice as large; both calls are on the ledger and paid for."""
    openai.reasoning_tokens = 500

    answer = await ai.ask(QUESTION, time_left=30, ledger=book)

    assert answer.value.overall == 4
    assert answer.response_id == "resp_0002"
    assert [call["max_output_tokens"] for call in openai.calls] == [400, 800]
    assert [(call.attempt_in_job, call.max_output_tokens) for call in book.calls] == [(1, 400), (2, 800)]
    assert book.events == ["asked 1", "answered 1", "asked 2", "answered 2"]
    first, second = book.answers[1], book.answers[2]
    assert (first.status, second.status) == ("failed", "succeeded")
    assert first.error is not None
    assert first.error.startswith("TruncatedAnswerError: ")
    assert first.usage is not None
    assert (first.usage.output_tokens, first.usage.reasoning_tokens) == (400, 400)
    assert (first.cost_usd_micros or 0) > 0


async def test_what_is_reserved_is_never_less_than_the_bill(openai: OpenAIStandIn, ai: AI, book: Book) -> None:
    """The longest answer, and twice as long, to a prompt of a token a byte, all written to the cache."""
    prompt = QUESTION.instructions + json.dumps(QUESTION.format["schema"]) + QUESTION.prompt
    openai.cache_write_tokens, openai.reasoning_tokens = len(prompt.encode()), 2_000

    with pytest.raises(TruncatedAnswerError):
        await ai.ask(QUESTION, time_left=30, ledger=book)

    assert [400, 800] == [spend.reserved["tokens"] - QUESTION.most_input_tokens for spend in book.spends]
    for spend in book.spends:
        assert all(0 < spend.actual[unit] <= most for unit, most in spend.reserved.items())


async def test_an_answer_truncated_twice_is_given_back(openai: OpenAIStandIn, ai: AI, book: Book) -> None:
    """There is no third call: the job fails transiently, in its own class."""
    openai.then(Fault.TRUNCATED, Fault.TRUNCATED)

    with pytest.raises(TruncatedAnswerError, match="token budget"):
        await ai.ask(QUESTION, time_left=30, ledger=book)

    assert len(openai.calls) == 2
    assert [answer.status for answer in book.answers.values()] == ["failed", "failed"]


async def test_other_failures_are_not_asked_again(openai: OpenAIStandIn, ai: AI, book: Book) -> None:
    """The second call's failure is the result, whatever it is."""
    openai.then(Fault.TRUNCATED, RATE_LIMIT)

    with pytest.raises(ProviderUnavailableError):
        await ai.ask(QUESTION, time_left=30, ledger=book)

    assert len(openai.calls) == 2


async def test_without_time_a_truncated_answer_is_given_back_at_once(openai: OpenAIStandIn, ai: AI, book: Book) -> None:
    """The second call would be cut off as well, by the deadline."""
    openai.reasoning_tokens = 500
    openai.then(Delay(0.4))

    with pytest.raises(TruncatedAnswerError):
        await ai.ask(QUESTION, time_left=2.3, ledger=book)

    assert len(openai.calls) == 1


@pytest.mark.parametrize("time_left", [1.99, 0, -5])
async def test_too_little_time_asks_nothing(openai: OpenAIStandIn, ai: AI, book: Book, time_left: float) -> None:
    """Below two seconds there is no call and no ledger entry."""
    with pytest.raises(OutOfTimeError, match="too few to ask"):
        await ai.ask(QUESTION, time_left=time_left, ledger=book)

    assert openai.calls == []
    assert book.events == []
    assert ai._client is None  # nor was the SDK imported for nothing


async def test_a_successor_is_not_asked_without_time(openai: OpenAIStandIn, ai: AI) -> None:
    """Each physical call needs its two seconds, not only the first one."""
    openai.gone.add("gpt-5-nano")
    await ai._opened()  # the import of the SDK is no part of these two seconds

    class SlowBook(Book):
        async def retired(self, model: str, successor: str) -> None:
            await asyncio.sleep(0.4)

    with pytest.raises(OutOfTimeError, match="too few to ask"):
        await ai.ask(QUESTION, time_left=2.3, ledger=SlowBook())

    assert [call["model"] for call in openai.calls] == ["gpt-5-nano"]


async def test_a_slow_answer_is_cut_off_at_the_timeout(address: str, openai: OpenAIStandIn, book: Book) -> None:
    """The timeout of its own holds when there is plenty of time; the call may have been billed."""
    openai.then(Delay(30))
    ai = AI(api_key=KEY, base_url=f"{address}/v1", timeout=0.2)

    with pytest.raises(ProviderUnavailableError, match=r"within 0.2 s; it may have been billed"):
        await ai.ask(QUESTION, time_left=30, ledger=book)

    await ai.aclose()
    assert book.only_answer.status == "failed"
    assert 200 <= book.only_answer.latency_ms < 2_000


async def test_a_slow_answer_is_cut_off_before_the_deadline(openai: OpenAIStandIn, ai: AI, book: Book) -> None:
    """With less time left than the timeout, half a second is kept for the writes after the call."""
    openai.then(Delay(30))
    began = asyncio.get_running_loop().time()

    with pytest.raises(ProviderUnavailableError, match=r"within 1\.\d s"):
        await ai.ask(QUESTION, time_left=2.3, ledger=book)

    assert asyncio.get_running_loop().time() - began < 2.2


async def test_an_answer_that_drips_is_cut_off_too(address: str, switchboard: Switchboard, book: Book) -> None:
    """The timeout bounds the whole call; the SDK's own starts anew with every byte."""

    async def drip(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        for _ in range(20):
            await send({"type": "http.response.body", "body": b" ", "more_body": True})
            await asyncio.sleep(0.05)

    switchboard.app = drip
    ai = AI(api_key=KEY, base_url=f"{address}/v1", timeout=0.3)

    with pytest.raises(ProviderUnavailableError, match="did not answer"):
        await ai.ask(QUESTION, time_left=30, ledger=book)

    await ai.aclose()
    assert book.only_answer.latency_ms < 2_000


async def test_a_call_cancelled_midway_is_on_the_ledger(openai: OpenAIStandIn, ai: AI, book: Book) -> None:
    """The runner cancels near its deadline; the call may have been billed, so its entry is closed as failed."""
    arrived, loop = asyncio.Event(), asyncio.get_running_loop()

    def note_arrival(_: dict[str, Any]) -> dict[str, Any]:
        loop.call_soon_threadsafe(arrived.set)
        return SCORE

    openai.answer = note_arrival
    openai.then(Delay(30))
    job = asyncio.create_task(ai.ask(QUESTION, time_left=30, ledger=book))
    await arrived.wait()
    job.cancel()

    with pytest.raises(asyncio.CancelledError):
        await job

    assert book.only_answer.status == "failed"
    assert book.only_answer.error == "ProviderError: cancelled; it may have been billed"
    assert book.only_answer.usage is None


async def test_a_cancel_during_the_record_waits_for_the_record(ai: AI) -> None:
    """A paid answer that is being written down is written down, then the cancel goes on."""
    writing, may_write = asyncio.Event(), asyncio.Event()

    class SlowBook(Book):
        async def answered(self, interaction_id: int, answer: AIAnswer) -> None:
            writing.set()
            await may_write.wait()
            await super().answered(interaction_id, answer)

    book = SlowBook()
    job = asyncio.create_task(ai.ask(QUESTION, time_left=30, ledger=book))
    await writing.wait()
    job.cancel()
    await asyncio.sleep(0)
    may_write.set()

    with pytest.raises(asyncio.CancelledError):
        await job

    assert book.only_answer.status == "succeeded"


async def test_a_ledger_that_refuses_stops_the_call(openai: OpenAIStandIn, ai: AI) -> None:
    """A spent budget is known before the call, so nothing is bought."""

    class Spent(Book):
        async def asked(self, call: AICall) -> int:
            raise ProviderUnavailableError("the budget of today is spent")

    with pytest.raises(ProviderUnavailableError, match="budget of today"):
        await ai.ask(QUESTION, time_left=30, ledger=Spent())

    assert openai.calls == []


async def test_a_model_that_is_gone_is_followed_by_its_successor(openai: OpenAIStandIn, ai: AI, book: Book) -> None:
    """The same job gets its score from the successor, at its price; the ledger is told, and the process remembers."""
    openai.gone.add("gpt-5-nano")

    answer = await ai.ask(QUESTION, time_left=30, ledger=book)
    await ai.ask(QUESTION, time_left=30, ledger=book)

    assert answer.model == "gpt-6-luna"
    assert answer.usage is not None
    assert answer.cost_usd_micros == -(-(answer.usage.input_tokens * 10 + answer.usage.output_tokens * 50) // 100)
    assert [call["model"] for call in openai.calls] == ["gpt-5-nano", "gpt-6-luna", "gpt-6-luna"]
    assert [(call.model, call.attempt_in_job) for call in book.calls] == [
        ("gpt-5-nano", 1),
        ("gpt-6-luna", 2),
        ("gpt-6-luna", 1),
    ]
    assert book.moves == [("gpt-5-nano", "gpt-6-luna")]
    assert book.events[:5] == ["asked 1", "answered 1", "retired", "asked 2", "answered 2"]
    assert (book.answers[1].error or "").startswith("ModelRetiredError: OpenAI no longer has the model gpt-5-nano")


async def test_a_project_without_access_to_a_model_moves_on_too(openai: OpenAIStandIn, ai: AI, book: Book) -> None:
    """OpenAI says model_not_found with status 403 as well; the code counts."""
    openai.then(Refuse(status=403, code="model_not_found"))

    assert (await ai.ask(QUESTION, time_left=30, ledger=book)).model == "gpt-6-luna"


async def test_without_a_successor_a_missing_model_is_refused(openai: OpenAIStandIn, ai: AI, book: Book) -> None:
    """The end of the chain is an error that names the model, and no ring of calls."""
    openai.gone |= {"gpt-5-nano", "gpt-6-luna"}

    with pytest.raises(ProviderRefusedError, match="no longer has the model gpt-6-luna"):
        await ai.ask(QUESTION, time_left=30, ledger=book)

    assert len(openai.calls) == 2


async def test_jobs_side_by_side_all_survive_the_switch(openai: OpenAIStandIn, ai: AI, book: Book) -> None:
    """Ten jobs meet the missing model at once; all get their score."""
    openai.gone.add("gpt-5-nano")

    answers = await asyncio.gather(*(ai.ask(QUESTION, time_left=30, ledger=book) for _ in range(10)))

    assert {answer.model for answer in answers} == {"gpt-6-luna"}
    assert set(book.moves) == {("gpt-5-nano", "gpt-6-luna")}
    assert all(answer.status == "succeeded" for answer in book.answers.values() if answer.model == "gpt-6-luna")
