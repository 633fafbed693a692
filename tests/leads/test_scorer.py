"""The scorer, by the real SDK over real HTTP: what it asks, pays, records and makes of each answer."""

import asyncio
import json
import subprocess
import sys
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, NamedTuple

import pytest
from starlette.types import Receive, Scope, Send

from leadjobs.errors import ProviderError, ProviderRefusedError, ProviderUnavailableError, SettingsError
from leadjobs.leads.models import Usage
from leadjobs.leads.prompt import (
    INSTRUCTIONS,
    SCORE_SCHEMA,
    InvalidAnswerError,
    Score,
    ScoringInput,
    TruncatedAnswerError,
    estimated_tokens,
    user_prompt,
)
from leadjobs.leads.scorer import (
    AIAnswer,
    AICall,
    ModelRetiredError,
    QuotaExhaustedError,
    Scorer,
)
from leadjobs.testing.openai import Behaviour, Delay, Failed, Fault, OpenAIStandIn, Refuse
from leadjobs.testing.serve import serve

KEY = "sk-proj-very-secret-9876"

LEAD = ScoringInput(
    ideal_customer_profile="Dentists in Ohio",
    service_description=None,
    qualification_questions=(),
    company=None,
    job_title=None,
    transcript="[2026-11-22T09:00:00Z] SMS IN Lead: My number is 555-0100, call me.",
)

SCORE: dict[str, Any] = {"fitScore": 3, "intentScore": 4, "overallScore": 4, "reasoning": "Asks to be called."}


class Book:
    """A ledger in memory; ``events`` tells the order."""

    def __init__(self) -> None:
        self.calls: list[AICall] = []
        self.answers: dict[int, AIAnswer] = {}
        self.moves: list[tuple[str, str]] = []
        self.events: list[str] = []

    async def asked(self, call: AICall) -> int:
        self.calls.append(call)
        self.events.append(f"asked {len(self.calls)}")
        return len(self.calls)

    async def answered(self, interaction_id: int, answer: AIAnswer) -> None:
        assert interaction_id not in self.answers
        self.answers[interaction_id] = answer
        self.events.append(f"answered {interaction_id}")

    async def retired(self, model: str, successor: str) -> None:
        self.moves.append((model, successor))
        self.events.append("retired")

    @property
    def only_answer(self) -> AIAnswer:
        (answer,) = self.answers.values()
        return answer


class Switchboard:
    """One server for all tests of this file; each test plugs its own app in."""

    def __init__(self) -> None:
        self.app: Callable[[Scope, Receive, Send], Any] = OpenAIStandIn(answer=lambda _: SCORE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


@pytest.fixture(scope="module")
def switchboard() -> Switchboard:
    return Switchboard()


@pytest.fixture(scope="module")
def address(switchboard: Switchboard) -> Iterator[str]:
    with serve(switchboard) as url:
        yield url


@pytest.fixture
def openai(switchboard: Switchboard) -> OpenAIStandIn:
    stand_in = OpenAIStandIn(answer=lambda _: SCORE, api_key=KEY)
    switchboard.app = stand_in
    return stand_in


@pytest.fixture
def book() -> Book:
    return Book()


@pytest.fixture
async def scorer(address: str, openai: OpenAIStandIn) -> AsyncIterator[Scorer]:
    made = Scorer(api_key=KEY, base_url=f"{address}/v1")
    yield made
    await made.aclose()


# A good answer


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


# Every way to fail


class Failure(NamedTuple):
    """What OpenAI does, and what we make of it."""

    behaviour: Behaviour
    error: type[ProviderError]
    retry_after: float | None
    cause: str


RATE_LIMIT = Refuse(
    status=429, code="rate_limit_exceeded", type="requests", headers={"retry-after": "2", "retry-after-ms": "1850"}
)


@pytest.mark.parametrize(
    "failure",
    [
        Failure(RATE_LIMIT, ProviderUnavailableError, 1.85, "HTTP 429, code rate_limit_exceeded"),
        Failure(
            Refuse(status=429, code="resource_unavailable"), ProviderUnavailableError, None, "resource_unavailable"
        ),
        Failure(Refuse(status=503, headers={"retry-after": "10"}), ProviderUnavailableError, 10.0, "HTTP 503"),
        Failure(Refuse(status=500, headers={"retry-after": "soon"}), ProviderUnavailableError, None, "HTTP 500"),
        Failure(Refuse(status=500, headers={"retry-after": "0"}), ProviderUnavailableError, None, "HTTP 500"),
        Failure(Refuse(status=500, headers={"retry-after": "-3"}), ProviderUnavailableError, None, "HTTP 500"),
        Failure(Refuse(status=500, headers={"retry-after-ms": "inf"}), ProviderUnavailableError, None, "HTTP 500"),
        Failure(Refuse(status=408), ProviderUnavailableError, None, "HTTP 408"),
        Failure(Refuse(status=409), ProviderUnavailableError, None, "HTTP 409"),
        Failure(Refuse(status=429, code="insufficient_quota"), QuotaExhaustedError, 900.0, "a person must"),
        Failure(Refuse(status=429, type="insufficient_quota"), QuotaExhaustedError, 900.0, "a person must"),
        Failure(
            Refuse(status=400, code="invalid_json_schema", param="text.format.schema"),
            ProviderRefusedError,
            None,
            "schema",
        ),
        Failure(Refuse(status=400, code="unsupported_value"), ProviderRefusedError, None, "unsupported_value"),
        Failure(
            Refuse(status=401, code="invalid_api_key"), ProviderRefusedError, None, "HTTP 401, code invalid_api_key"
        ),
        Failure(Refuse(status=403), ProviderRefusedError, None, "HTTP 403, code none"),
        Failure(Refuse(status=404), ProviderRefusedError, None, "HTTP 404"),
        Failure(Refuse(status=422), ProviderRefusedError, None, "HTTP 422"),
        Failure(Failed("server_error"), ProviderUnavailableError, None, "status failed, code server_error"),
        Failure(Failed("rate_limit_exceeded"), ProviderUnavailableError, None, "rate_limit_exceeded"),
        Failure(Failed(None), ProviderUnavailableError, None, "code none"),
        Failure(Failed("invalid_prompt"), ProviderRefusedError, None, "invalid_prompt"),
        Failure(Fault.REFUSAL, ProviderRefusedError, None, "the model refused"),
        Failure(Fault.CONTENT_FILTER, ProviderRefusedError, None, "content filter"),
        Failure(Fault.HTML, ProviderUnavailableError, None, "no answer of OpenAI's"),
        Failure(Fault.HALF_A_BODY, ProviderUnavailableError, None, "no answer of OpenAI's"),
        Failure(Fault.NO_RESPONSE, ProviderUnavailableError, None, "status none"),
        Failure(Fault.INVALID_JSON, InvalidAnswerError, None, "not JSON"),
        Failure(Fault.OUT_OF_RANGE, InvalidAnswerError, None, "fitScore must be from 1 to 4, not 5"),
        Failure(Fault.MISSING_KEY, InvalidAnswerError, None, "lacks fitScore"),
    ],
)
async def test_a_failure_is_classified_recorded_and_left_to_the_queue(
    openai: OpenAIStandIn, scorer: Scorer, book: Book, failure: Failure
) -> None:
    """One physical call, one error of the right class with the provider's wish, one ledger entry that says the same."""
    openai.then(failure.behaviour)

    with pytest.raises(failure.error, match=failure.cause) as caught:
        await scorer.score(LEAD, time_left=30, ledger=book)

    assert type(caught.value) is failure.error
    assert getattr(caught.value, "retry_after", None) == failure.retry_after
    assert len(openai.calls) == 1
    assert book.events == ["asked 1", "answered 1"]
    assert book.only_answer.status == "failed"
    assert book.only_answer.error == f"{failure.error.__name__}: {caught.value}"
    assert book.only_answer.request_id == "req_0001"


@pytest.mark.parametrize(
    ("error", "is_transient"),
    [
        (ProviderUnavailableError, True),
        (QuotaExhaustedError, True),
        (InvalidAnswerError, True),
        (TruncatedAnswerError, True),
        (ProviderRefusedError, False),
        (ModelRetiredError, False),
    ],
)
def test_every_class_says_if_later_may_work(error: type[ProviderError], is_transient: bool) -> None:  # noqa: FBT001
    """The queue retries by this flag alone."""
    assert error.is_transient is is_transient


@pytest.mark.parametrize(
    "fault", [Fault.REFUSAL, Fault.CONTENT_FILTER, Fault.INVALID_JSON, Fault.OUT_OF_RANGE, Fault.MISSING_KEY]
)
async def test_a_useless_answer_is_still_paid_for(
    openai: OpenAIStandIn, scorer: Scorer, book: Book, fault: Fault
) -> None:
    """Refused, filtered and invalid answers keep their bill and their ids on the ledger."""
    openai.then(fault)

    with pytest.raises(ProviderError):
        await scorer.score(LEAD, time_left=30, ledger=book)

    assert book.only_answer.usage is not None
    assert book.only_answer.usage.input_tokens > 300
    assert (book.only_answer.cost_usd_micros or 0) > 0
    assert book.only_answer.response_id == "resp_0001"
    assert book.only_answer.model == "gpt-5-nano"


async def test_an_incoherent_overall_is_no_score(openai: OpenAIStandIn, scorer: Scorer, book: Book) -> None:
    """The schema lets it pass, so we must not."""
    openai.answer = lambda _: SCORE | {"fitScore": 1, "intentScore": 2, "overallScore": 4}

    with pytest.raises(InvalidAnswerError, match="overallScore 4 is not between fitScore 1 and intentScore 2"):
        await scorer.score(LEAD, time_left=30, ledger=book)


async def test_a_dead_connection_is_unavailable(openai: OpenAIStandIn, book: Book) -> None:
    """Nobody listens there: transient, recorded, without a bill."""
    with serve(openai) as url:
        pass
    scorer = Scorer(api_key=KEY, base_url=f"{url}/v1")

    with pytest.raises(ProviderUnavailableError, match="connection to OpenAI failed"):
        await scorer.score(LEAD, time_left=30, ledger=book)

    await scorer.aclose()
    assert book.only_answer.status == "failed"
    assert book.only_answer.usage is None
    assert book.only_answer.cost_usd_micros is None


async def test_nothing_that_fails_quotes_the_prompt_or_the_key(openai: OpenAIStandIn, address: str) -> None:
    """The provider's messages quote requests and keys; ours, their tracebacks and the ledger do not."""
    quoting = Refuse(status=400, code=f"bad {LEAD.transcript}", param=LEAD.transcript, message=LEAD.transcript)
    told = []
    openai.then(quoting, Fault.INVALID_JSON)
    for key in (KEY, KEY, f"{KEY}-wrong"):
        scorer, book = Scorer(api_key=key, base_url=f"{address}/v1"), Book()
        with pytest.raises(ProviderError) as caught:
            await scorer.score(LEAD, time_left=30, ledger=book)
        await scorer.aclose()
        told.append("".join(traceback.format_exception(caught.value)) + str(book.only_answer))

    for text in told:
        assert "555-0100" not in text
        assert "sk-proj" not in text
        assert "9876" not in text
        assert "-wrong" not in text


async def test_a_surprise_is_recorded_by_its_class_and_goes_on(scorer: Scorer, book: Book) -> None:
    """What nobody foresaw (here: text that is no Unicode) still closes the ledger entry."""
    broken = ScoringInput(
        ideal_customer_profile="\ud800",
        service_description=None,
        qualification_questions=(),
        company=None,
        job_title=None,
        transcript="",
    )

    with pytest.raises(UnicodeEncodeError):
        await scorer.score(broken, time_left=30, ledger=book)

    assert book.only_answer.status == "failed"
    assert book.only_answer.error == "ProviderError: UnicodeEncodeError; it may have been billed"


# Cut off at the budget


async def test_a_truncated_answer_is_asked_for_once_more_with_twice_the_budget(
    openai: OpenAIStandIn, scorer: Scorer, book: Book
) -> None:
    """Reasoning ate the first budget; the second is twice as large; both calls are on the ledger and paid for."""
    openai.reasoning_tokens = 500

    answer = await scorer.score(LEAD, time_left=30, ledger=book)

    assert answer.score.overall == 4
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


async def test_an_answer_truncated_twice_is_given_back(openai: OpenAIStandIn, scorer: Scorer, book: Book) -> None:
    """There is no third call: the job fails transiently, in its own class."""
    openai.then(Fault.TRUNCATED, Fault.TRUNCATED)

    with pytest.raises(TruncatedAnswerError, match="token budget"):
        await scorer.score(LEAD, time_left=30, ledger=book)

    assert len(openai.calls) == 2
    assert [answer.status for answer in book.answers.values()] == ["failed", "failed"]


async def test_other_failures_are_not_asked_again(openai: OpenAIStandIn, scorer: Scorer, book: Book) -> None:
    """The second call's failure is the result, whatever it is."""
    openai.then(Fault.TRUNCATED, RATE_LIMIT)

    with pytest.raises(ProviderUnavailableError):
        await scorer.score(LEAD, time_left=30, ledger=book)

    assert len(openai.calls) == 2


async def test_without_time_a_truncated_answer_is_given_back_at_once(
    openai: OpenAIStandIn, scorer: Scorer, book: Book
) -> None:
    """The second call would be cut off as well, by the deadline."""
    openai.reasoning_tokens = 500
    openai.then(Delay(0.4))

    with pytest.raises(TruncatedAnswerError):
        await scorer.score(LEAD, time_left=2.3, ledger=book)

    assert len(openai.calls) == 1


# Time


@pytest.mark.parametrize("time_left", [1.99, 0, -5])
async def test_too_little_time_asks_nothing(
    openai: OpenAIStandIn, scorer: Scorer, book: Book, time_left: float
) -> None:
    """Below two seconds there is no call and no ledger entry."""
    with pytest.raises(ProviderUnavailableError, match="too few to ask"):
        await scorer.score(LEAD, time_left=time_left, ledger=book)

    assert openai.calls == []
    assert book.events == []
    assert scorer._client is None  # nor was the SDK imported for nothing


async def test_a_successor_is_not_asked_without_time(openai: OpenAIStandIn, scorer: Scorer) -> None:
    """Each physical call needs its two seconds, not only the first one."""
    openai.gone.add("gpt-5-nano")

    class SlowBook(Book):
        async def retired(self, model: str, successor: str) -> None:
            await asyncio.sleep(0.4)

    with pytest.raises(ProviderUnavailableError, match="too few to ask"):
        await scorer.score(LEAD, time_left=2.3, ledger=SlowBook())

    assert [call["model"] for call in openai.calls] == ["gpt-5-nano"]


async def test_a_slow_answer_is_cut_off_at_the_timeout(address: str, openai: OpenAIStandIn, book: Book) -> None:
    """The scorer's own timeout holds when there is plenty of time; the call may have been billed."""
    openai.then(Delay(30))
    scorer = Scorer(api_key=KEY, base_url=f"{address}/v1", timeout=0.2)

    with pytest.raises(ProviderUnavailableError, match=r"within 0.2 s; it may have been billed"):
        await scorer.score(LEAD, time_left=30, ledger=book)

    await scorer.aclose()
    assert book.only_answer.status == "failed"
    assert 200 <= book.only_answer.latency_ms < 2_000


async def test_a_slow_answer_is_cut_off_before_the_deadline(openai: OpenAIStandIn, scorer: Scorer, book: Book) -> None:
    """With less time left than the timeout, half a second is kept for the writes after the call."""
    openai.then(Delay(30))
    began = asyncio.get_running_loop().time()

    with pytest.raises(ProviderUnavailableError, match=r"within 1\.\d s"):
        await scorer.score(LEAD, time_left=2.3, ledger=book)

    assert asyncio.get_running_loop().time() - began < 2.2


async def test_an_answer_that_drips_is_cut_off_too(address: str, switchboard: Switchboard, book: Book) -> None:
    """The timeout bounds the whole call; the SDK's own starts anew with every byte."""

    async def drip(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        for _ in range(20):
            await send({"type": "http.response.body", "body": b" ", "more_body": True})
            await asyncio.sleep(0.05)

    switchboard.app = drip
    scorer = Scorer(api_key=KEY, base_url=f"{address}/v1", timeout=0.3)

    with pytest.raises(ProviderUnavailableError, match="did not answer"):
        await scorer.score(LEAD, time_left=30, ledger=book)

    await scorer.aclose()
    assert book.only_answer.latency_ms < 2_000


# Cancelled


async def test_a_call_cancelled_midway_is_on_the_ledger(openai: OpenAIStandIn, scorer: Scorer, book: Book) -> None:
    """The runner cancels near its deadline; the call may have been billed, so its entry is closed as failed."""
    arrived, loop = asyncio.Event(), asyncio.get_running_loop()

    def note_arrival(_: dict[str, Any]) -> dict[str, Any]:
        loop.call_soon_threadsafe(arrived.set)
        return SCORE

    openai.answer = note_arrival
    openai.then(Delay(30))
    job = asyncio.create_task(scorer.score(LEAD, time_left=30, ledger=book))
    await arrived.wait()
    job.cancel()

    with pytest.raises(asyncio.CancelledError):
        await job

    assert book.only_answer.status == "failed"
    assert book.only_answer.error == "ProviderError: cancelled; it may have been billed"
    assert book.only_answer.usage is None


async def test_a_cancel_during_the_record_waits_for_the_record(scorer: Scorer) -> None:
    """A paid answer that is being written down is written down, then the cancel goes on."""
    writing, may_write = asyncio.Event(), asyncio.Event()

    class SlowBook(Book):
        async def answered(self, interaction_id: int, answer: AIAnswer) -> None:
            writing.set()
            await may_write.wait()
            await super().answered(interaction_id, answer)

    book = SlowBook()
    job = asyncio.create_task(scorer.score(LEAD, time_left=30, ledger=book))
    await writing.wait()
    job.cancel()
    await asyncio.sleep(0)
    may_write.set()

    with pytest.raises(asyncio.CancelledError):
        await job

    assert book.only_answer.status == "succeeded"


# The ledger's word


async def test_a_ledger_that_refuses_stops_the_call(openai: OpenAIStandIn, scorer: Scorer) -> None:
    """A spent budget is known before the call, so nothing is bought."""

    class Spent(Book):
        async def asked(self, call: AICall) -> int:
            raise ProviderUnavailableError("the budget of today is spent")

    with pytest.raises(ProviderUnavailableError, match="budget of today"):
        await scorer.score(LEAD, time_left=30, ledger=Spent())

    assert openai.calls == []


# The model is switched off


async def test_a_model_that_is_gone_is_followed_by_its_successor(
    openai: OpenAIStandIn, scorer: Scorer, book: Book
) -> None:
    """The same job gets its score from the successor, at its price; the ledger is told, and the process remembers."""
    openai.gone.add("gpt-5-nano")

    answer = await scorer.score(LEAD, time_left=30, ledger=book)
    await scorer.score(LEAD, time_left=30, ledger=book)

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


async def test_a_project_without_access_to_a_model_moves_on_too(
    openai: OpenAIStandIn, scorer: Scorer, book: Book
) -> None:
    """OpenAI says model_not_found with status 403 as well; the code counts."""
    openai.then(Refuse(status=403, code="model_not_found"))

    assert (await scorer.score(LEAD, time_left=30, ledger=book)).model == "gpt-6-luna"


async def test_without_a_successor_a_missing_model_is_refused(
    openai: OpenAIStandIn, scorer: Scorer, book: Book
) -> None:
    """The end of the chain is an error that names the model, and no ring of calls."""
    openai.gone |= {"gpt-5-nano", "gpt-6-luna"}

    with pytest.raises(ProviderRefusedError, match="no longer has the model gpt-6-luna"):
        await scorer.score(LEAD, time_left=30, ledger=book)

    assert len(openai.calls) == 2


async def test_jobs_side_by_side_all_survive_the_switch(openai: OpenAIStandIn, scorer: Scorer, book: Book) -> None:
    """Ten jobs meet the missing model at once; all get their score."""
    openai.gone.add("gpt-5-nano")

    answers = await asyncio.gather(*(scorer.score(LEAD, time_left=30, ledger=book) for _ in range(10)))

    assert {answer.model for answer in answers} == {"gpt-6-luna"}
    assert set(book.moves) == {("gpt-5-nano", "gpt-6-luna")}
    assert all(answer.status == "succeeded" for answer in book.answers.values() if answer.model == "gpt-6-luna")


# Import


def test_importing_the_scorer_loads_no_sdk() -> None:
    """Functions that only know of scoring do not pay for the SDK."""
    heavy = "'openai' not in sys.modules and 'tenacity' not in sys.modules and 'sqlalchemy' not in sys.modules"

    subprocess.run([sys.executable, "-c", f"import leadjobs.leads.scorer, sys; assert {heavy}"], check=True, timeout=60)
