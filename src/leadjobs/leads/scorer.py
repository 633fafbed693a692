"""One lead's score from OpenAI: asked, paid, judged, and every physical call on the ledger.

The SDK takes more than a second to import, so that happens when the first lead is scored, in a thread: the jobs beside
it go on, and importing this module stays light.  No exception or record here quotes a prompt, an answer or the key.
"""

import asyncio
import itertools
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, Literal, Protocol

from leadjobs.core.clock import Deadline, SystemClock
from leadjobs.errors import ProviderError, ProviderRefusedError, ProviderUnavailableError, SettingsError
from leadjobs.leads.models import DEFAULT_MODEL, Model, Usage, cost_usd_micros, find_model
from leadjobs.leads.prompt import (
    INSTRUCTIONS,
    PROMPT_VERSION,
    SCORE_FORMAT,
    InvalidAnswerError,
    Score,
    ScoringInput,
    TruncatedAnswerError,
    estimated_tokens,
    output_budget,
    parse_score,
    user_prompt,
)

if TYPE_CHECKING:
    from openai import APIStatusError, AsyncOpenAI
    from openai._legacy_response import LegacyAPIResponse
    from openai.types.responses import Response, ResponseTextConfigParam

MIN_SECONDS: Final = 2.0
"""With less time left than this, a call would only be paid for and cut off."""

_SPARE_SECONDS = 0.5  # of the time left, for the writes after an answer
_RECORD_SECONDS = 2.0
_QUOTA_RETRY_SECONDS = 15 * 60.0
_BUSY_STATUS = frozenset({408, 409, 429})
_BUSY_CODES = frozenset({"server_error", "rate_limit_exceeded", "vector_store_timeout"})


class QuotaExhaustedError(ProviderUnavailableError):
    """The account has no credit: a person must act, waiting alone heals nothing.  ``retry_after`` is 15 minutes."""

    code = "LJ504"


class ModelRetiredError(ProviderRefusedError):
    """The provider no longer has the model, and nothing is known to follow it: another must be configured."""

    code = "LJ506"


@dataclass(frozen=True, slots=True, kw_only=True)
class AICall:
    """One physical call that is about to be made.

    ``estimated_input_tokens`` (characters by four) and ``max_output_tokens`` say what the call may cost.
    ``attempt_in_job`` counts the physical calls of one `Scorer.score` from 1.
    """

    model: str
    prompt_version: str
    feature: str = "lead_scoring.score"
    api: str = "responses"
    estimated_input_tokens: int
    max_output_tokens: int
    attempt_in_job: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AIAnswer:
    """How one physical call ended.

    ``usage`` is there whenever the provider sent a bill, for a failed call too; one that timed out or was cancelled may
    have been billed without.  ``model`` and ``service_tier`` are as answered.  ``error`` is a class and a short cause.
    """

    status: Literal["succeeded", "failed"]
    usage: Usage | None
    cost_usd_micros: int | None
    latency_ms: int
    response_id: str | None
    request_id: str | None
    model: str | None
    service_tier: str | None
    error: str | None


class Ledger(Protocol):
    """Where every physical call is written down: before it is made, and when it has ended."""

    async def asked(self, call: AICall) -> int:
        """Keep that this call is about to be made, and return its id; to raise (the budget is spent) stops the call."""

    async def answered(self, interaction_id: int, answer: AIAnswer) -> None:
        """Keep how the call ended."""

    async def retired(self, model: str, successor: str) -> None:
        """Tell that the provider no longer has ``model`` and that scoring goes on with ``successor``.

        Every process tells, and a process may tell more than once where several calls were under way.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredAnswer:
    """A score, the model as answered, and what the call that brought the score took."""

    score: Score
    model: str
    usage: Usage | None
    cost_usd_micros: int | None
    response_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reply:
    """What one physical call brought: a score, or why there is none."""

    verdict: Score | ProviderError
    usage: Usage | None = None
    response_id: str | None = None
    request_id: str | None = None
    model: str | None = None
    service_tier: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    """What all physical calls of one `Scorer.score` share."""

    prompt: str
    deadline: Deadline
    ledger: Ledger
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def must_have_time(self) -> None:
        """Raise ProviderUnavailableError if too little time is left for a call."""
        seconds_left = self.deadline.seconds_left()
        if seconds_left < MIN_SECONDS:
            raise ProviderUnavailableError(f"{max(seconds_left, 0):.1f} s left are too few to ask OpenAI")


class Scorer:
    """Scores leads by one model, on one event loop, with one HTTP client.

    ``timeout`` is in seconds and bounds each physical call as a whole.  ``base_url`` None means the SDK's own default.

    Raises:
        SettingsError: the key is blank.
    """

    def __init__(
        self, *, api_key: str, model: str = DEFAULT_MODEL, base_url: str | None = None, timeout: float = 20.0
    ) -> None:
        self._api_key = api_key.strip()  # a key pasted with its newline would fail as a connection error, for ever
        if not self._api_key:
            raise SettingsError("the OpenAI API key is blank: set it, or switch scoring by AI off")
        self._model = model
        self._base_url = base_url
        self._timeout = timeout
        self._client: AsyncOpenAI | None = None

    async def score(self, what: ScoringInput, *, time_left: float, ledger: Ledger) -> ScoredAnswer:
        """Return a valid score of this lead, by one call as a rule.

        An answer cut off at its token budget is asked for once more with twice the budget, and a model that is gone is
        replaced by its successor, as long as ``time_left`` (seconds) allows it.  All other retries are the queue's.

        Raises:
            ProviderUnavailableError: busy, down, slow, or ``time_left`` is too short to ask; later may work.
            QuotaExhaustedError: the account has no credit.
            ProviderRefusedError: OpenAI refused this request, this key or this model, and will again.
            InvalidAnswerError: the answer breaks a rule of `leadjobs.leads.prompt.parse_score`, or was cut off twice.
        """
        question = _Question(prompt=user_prompt(what), deadline=Deadline(SystemClock(), time_left), ledger=ledger)
        question.must_have_time()
        from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_attempt  # noqa: PLC0415

        def is_last(state: RetryCallState) -> bool:
            return stop_after_attempt(2)(state) or question.deadline.seconds_left() < MIN_SECONDS

        retrying = AsyncRetrying(retry=retry_if_exception_type(TruncatedAnswerError), stop=is_last, reraise=True)
        async for attempt in retrying:
            with attempt:
                return await self._answer(question, times_budget=attempt.retry_state.attempt_number)
        raise AssertionError("the last attempt returns or raises")

    async def aclose(self) -> None:
        """Close the connections; a later `score` opens new ones."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _answer(self, question: _Question, *, times_budget: int) -> ScoredAnswer:
        """Return one answer, from the successor where the model is gone."""
        budget = output_budget(estimated_tokens(question.prompt)) * times_budget
        while True:
            model = find_model(self._model)
            try:
                return await self._call(question, model, budget)
            except ModelRetiredError:
                if model.successor is None:
                    raise
                if self._model == model.name:  # else another job has told and moved
                    await question.ledger.retired(model.name, model.successor)
                    self._model = model.successor

    async def _call(self, question: _Question, model: Model, max_output_tokens: int) -> ScoredAnswer:
        """Make one physical call between its two ledger entries, and judge what it brought."""
        client = await self._opened()
        question.must_have_time()  # also after a first import, and before a second call
        call = AICall(
            model=model.name,
            prompt_version=PROMPT_VERSION,
            estimated_input_tokens=estimated_tokens(question.prompt),
            max_output_tokens=max_output_tokens,
            attempt_in_job=next(question.numbers),
        )
        entry = _Entry(ledger=question.ledger, interaction_id=await question.ledger.asked(call), model=model)
        seconds = max(min(self._timeout, question.deadline.seconds_left() - _SPARE_SECONDS), 0.0)
        try:
            reply = await _send(client, model, question.prompt, max_output_tokens, seconds)
        except BaseException as surprise:  # its text may quote the prompt: the class must do
            why = "cancelled" if isinstance(surprise, asyncio.CancelledError) else type(surprise).__name__
            await entry.close(_Reply(verdict=ProviderError(f"{why}; it may have been billed")))
            raise
        await entry.close(reply)
        if isinstance(reply.verdict, ProviderError):
            raise reply.verdict
        return ScoredAnswer(
            score=reply.verdict,
            model=reply.model or model.name,
            usage=reply.usage,
            cost_usd_micros=cost_usd_micros(model, reply.usage),
            response_id=reply.response_id,
        )

    async def _opened(self) -> "AsyncOpenAI":
        """The one client, made by whoever comes first."""
        if self._client is None:
            client = await asyncio.to_thread(self._new_client)
            if self._client is None:  # another job may have been faster; ours has no connection to close yet
                self._client = client
        return self._client

    def _new_client(self) -> "AsyncOpenAI":
        from openai import AsyncOpenAI  # noqa: PLC0415 takes a second or more

        return AsyncOpenAI(api_key=self._api_key, base_url=self._base_url, max_retries=0, timeout=self._timeout)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """An entry of the ledger that is still open."""

    ledger: Ledger
    interaction_id: int
    model: Model
    opened_at: float = field(default_factory=lambda: SystemClock().monotonic())

    async def close(self, reply: _Reply) -> None:
        """Write down how the call ended, also when this job is being cancelled."""
        failure = reply.verdict if isinstance(reply.verdict, ProviderError) else None
        answer = AIAnswer(
            status="failed" if failure else "succeeded",
            usage=reply.usage,
            cost_usd_micros=cost_usd_micros(self.model, reply.usage),
            latency_ms=round((SystemClock().monotonic() - self.opened_at) * 1000),
            response_id=reply.response_id,
            request_id=reply.request_id,
            model=reply.model,
            service_tier=reply.service_tier,
            error=f"{type(failure).__name__}: {failure}" if failure else None,
        )
        writing = asyncio.ensure_future(self.ledger.answered(self.interaction_id, answer))
        try:
            await asyncio.shield(writing)
        except asyncio.CancelledError:
            # The shield keeps the write alive, but nobody would wait for it: the loop may end first.
            await asyncio.wait({writing}, timeout=_RECORD_SECONDS)
            raise


async def _send(client: "AsyncOpenAI", model: Model, prompt: str, max_output_tokens: int, seconds: float) -> _Reply:
    """Ask once, and return whatever came of it; only surprises are raised.

    ``seconds`` bounds the whole call: the SDK's own timeout starts anew with every piece of an answer.
    """
    import openai  # noqa: PLC0415 the client has imported it by now

    text: ResponseTextConfigParam = {"format": SCORE_FORMAT}
    if model.verbosity is not None:
        text["verbosity"] = model.verbosity
    try:
        async with asyncio.timeout(seconds):
            raw = await client.responses.with_raw_response.create(
                model=model.name,
                instructions=INSTRUCTIONS,
                input=prompt,
                text=text,
                reasoning=openai.omit if model.effort is None else {"effort": model.effort},
                max_output_tokens=max_output_tokens,
                service_tier="default",  # the prices in our table are this tier's
                store=False,
                timeout=seconds,
            )
    except (TimeoutError, openai.APITimeoutError):
        late = f"OpenAI did not answer within {seconds:.1f} s; it may have been billed"
        return _Reply(verdict=ProviderUnavailableError(late))
    except openai.APIStatusError as error:
        return _Reply(verdict=_status_error(error, model), request_id=error.request_id)
    except openai.APIConnectionError:
        return _Reply(verdict=ProviderUnavailableError("the connection to OpenAI failed; it may have been billed"))
    return _read(raw)


def _read(raw: "LegacyAPIResponse[Response]") -> _Reply:
    """What an answer with status 200 says.  The SDK checks nothing: HTML arrives as a string, ``{}`` as a Response."""
    try:
        answer = raw.parse()
        return _Reply(
            verdict=_verdict(answer),
            usage=Usage.reported(answer.usage),
            response_id=answer.id,
            request_id=raw.request_id,
            model=answer.model,
            service_tier=answer.service_tier,
        )
    except (AttributeError, TypeError, ValueError):
        no_response = ProviderUnavailableError("what came back is no answer of OpenAI's; a proxy may be in the way")
        return _Reply(verdict=no_response, request_id=raw.request_id)


def _verdict(answer: "Response") -> Score | ProviderError:
    """The score in this answer, or why it holds none: as a value, for the ledger comes before the raise."""
    if answer.status != "completed":
        return _unfinished(answer)
    parts = [part for item in answer.output if item.type == "message" for part in item.content]
    if any(part.type == "refusal" for part in parts):
        return ProviderRefusedError("the model refused to answer")
    try:
        return parse_score(answer.output_text)
    except InvalidAnswerError as error:
        return error


def _unfinished(answer: "Response") -> ProviderError:
    """Why an answer is not complete: OpenAI says so in a body with status 200."""
    if answer.status == "incomplete":
        reason = answer.incomplete_details.reason if answer.incomplete_details else None
        if reason == "max_output_tokens":
            return TruncatedAnswerError("the answer was cut off at its token budget")
        if reason == "content_filter":
            return ProviderRefusedError("OpenAI's content filter stopped the answer")
        return InvalidAnswerError(f"the answer is incomplete, for the reason {_word(reason)}")
    code = answer.error.code if answer.error else None
    said = f"OpenAI's answer has the status {_word(answer.status)}, code {_word(code)}"
    if code is None or code in _BUSY_CODES:
        return ProviderUnavailableError(said)
    return ProviderRefusedError(said)


def _status_error(error: "APIStatusError", model: Model) -> ProviderError:
    """What an HTTP status says.  The provider's own message stays out: it quotes keys and requests."""
    said = f"HTTP {error.status_code}, code {_word(error.code)}, parameter {_word(error.param)}"
    if error.code == "model_not_found":
        return ModelRetiredError(f"OpenAI no longer has the model {model.name}, or this account may not use it: {said}")
    if "insufficient_quota" in (error.code, error.type):
        no_credit = f"the OpenAI account has no credit: a person must add some or raise its limit ({said})"
        return QuotaExhaustedError(no_credit, retry_after=_QUOTA_RETRY_SECONDS)
    if error.status_code in _BUSY_STATUS or error.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return ProviderUnavailableError(f"OpenAI is not available: {said}", retry_after=_retry_after(error))
    return ProviderRefusedError(f"OpenAI refused the request: {said}")


def _retry_after(error: "APIStatusError") -> float | None:
    """Seconds the provider asks us to wait, the finer header first; None without a sensible one."""
    for name, per_second in (("retry-after-ms", 1000), ("retry-after", 1)):
        try:
            seconds = float(error.response.headers[name]) / per_second
        except (KeyError, ValueError):
            continue
        if math.isfinite(seconds) and seconds > 0:
            return seconds
    return None


def _word(value: object) -> str:
    """A provider's code if it is one word; anything longer could be a quotation."""
    return value if isinstance(value, str) and re.fullmatch(r"[\w.\[\]-]{1,64}", value, re.ASCII) else "none"
