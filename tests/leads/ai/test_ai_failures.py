"""Every way a model call can fail, by the real SDK over real HTTP, and what we make of it."""

import traceback
from typing import NamedTuple

import pytest
from tests.leads.ai.stage import KEY, LEAD, QUESTION, RATE_LIMIT, SCORE, Book

from leadjobs.errors import ProviderError, ProviderRefusedError, ProviderUnavailableError
from leadjobs.leads.ai.asking import AI
from leadjobs.leads.ai.errors import (
    InvalidAnswerError,
    ModelBusyError,
    ModelRetiredError,
    QuotaExhaustedError,
    TruncatedAnswerError,
)
from leadjobs.leads.scoring.prompt import ScoringInput, scoring_question
from leadjobs.testing.openai import Behaviour, Failed, Fault, OpenAIStandIn, Refuse
from leadjobs.testing.serve import serve


class Failure(NamedTuple):
    """What OpenAI does, and what we make of it."""

    behaviour: Behaviour
    error: type[ProviderError]
    retry_after: float | None
    cause: str


@pytest.mark.parametrize(
    "failure",
    [
        Failure(RATE_LIMIT, ModelBusyError, 1.85, "HTTP 429, code rate_limit_exceeded"),
        Failure(
            Refuse(status=429, code="resource_unavailable"), ProviderUnavailableError, None, "resource_unavailable"
        ),
        Failure(Refuse(status=503, headers={"retry-after": "10"}), ModelBusyError, 10.0, "HTTP 503"),
        Failure(Refuse(status=500, headers={"retry-after": "soon"}), ProviderUnavailableError, None, "HTTP 500"),
        Failure(Refuse(status=500, headers={"retry-after": "0"}), ProviderUnavailableError, None, "HTTP 500"),
        Failure(Refuse(status=500, headers={"retry-after": "-3"}), ProviderUnavailableError, None, "HTTP 500"),
        Failure(Refuse(status=500, headers={"retry-after-ms": "inf"}), ProviderUnavailableError, None, "HTTP 500"),
        Failure(Refuse(status=408), ProviderUnavailableError, None, "HTTP 408"),
        Failure(Refuse(status=409), ProviderUnavailableError, None, "HTTP 409"),
        Failure(Refuse(status=429, code="insufficient_quota"), QuotaExhaustedError, None, "a person must"),
        Failure(Refuse(status=429, type="insufficient_quota"), QuotaExhaustedError, None, "a person must"),
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
    openai: OpenAIStandIn, ai: AI, book: Book, failure: Failure
) -> None:
    """One physical call, one error of the right class with the provider's wish, one ledger entry that says the same."""
    openai.then(failure.behaviour)

    with pytest.raises(failure.error, match=failure.cause) as caught:
        await ai.ask(QUESTION, time_left=30, ledger=book)

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
        (ModelBusyError, True),
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
async def test_a_useless_answer_is_still_paid_for(openai: OpenAIStandIn, ai: AI, book: Book, fault: Fault) -> None:
    """Refused, filtered and invalid answers keep their bill and their ids on the ledger."""
    openai.then(fault)

    with pytest.raises(ProviderError):
        await ai.ask(QUESTION, time_left=30, ledger=book)

    assert book.only_answer.usage is not None
    assert book.only_answer.usage.input_tokens > 300
    assert (book.only_answer.cost_usd_micros or 0) > 0
    assert book.only_answer.response_id == "resp_0001"
    assert book.only_answer.model == "gpt-5-nano"


async def test_an_incoherent_overall_is_no_score(openai: OpenAIStandIn, ai: AI, book: Book) -> None:
    """The schema lets it pass, so we must not."""
    openai.answer = lambda _: SCORE | {"fitScore": 1, "intentScore": 2, "overallScore": 4}

    with pytest.raises(InvalidAnswerError, match="overallScore 4 is not between fitScore 1 and intentScore 2"):
        await ai.ask(QUESTION, time_left=30, ledger=book)


async def test_a_dead_connection_is_unavailable(openai: OpenAIStandIn, book: Book) -> None:
    """Nobody listens there: transient, recorded, without a bill."""
    with serve(openai) as url:
        pass
    ai = AI(api_key=KEY, base_url=f"{url}/v1")

    with pytest.raises(ProviderUnavailableError, match="connection to OpenAI failed"):
        await ai.ask(QUESTION, time_left=30, ledger=book)

    await ai.aclose()
    assert book.only_answer.status == "failed"
    assert book.only_answer.usage is None
    assert book.only_answer.cost_usd_micros is None


async def test_nothing_that_fails_quotes_the_prompt_or_the_key(openai: OpenAIStandIn, address: str) -> None:
    """The provider's messages quote requests and keys; ours, their tracebacks and the ledger do not."""
    quoting = Refuse(status=400, code=f"bad {LEAD.transcript}", param=LEAD.transcript, message=LEAD.transcript)
    told = []
    openai.then(quoting, Fault.INVALID_JSON)
    for key in (KEY, KEY, f"{KEY}-wrong"):
        ai, book = AI(api_key=key, base_url=f"{address}/v1"), Book()
        with pytest.raises(ProviderError) as caught:
            await ai.ask(QUESTION, time_left=30, ledger=book)
        await ai.aclose()
        told.append("".join(traceback.format_exception(caught.value)) + str(book.only_answer))

    for text in told:
        assert "555-0100" not in text
        assert "sk-proj" not in text
        assert "9876" not in text
        assert "-wrong" not in text


async def test_a_surprise_is_recorded_by_its_class_and_goes_on(ai: AI, book: Book) -> None:
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
        await ai.ask(scoring_question(broken), time_left=30, ledger=book)

    assert book.only_answer.status == "failed"
    assert book.only_answer.error == "ProviderError: UnicodeEncodeError; it may have been billed"
