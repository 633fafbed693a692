"""Asking a model one question: paid, judged, and every physical call on the ledger.

The SDK takes more than a second to import, so that happens when the first question is asked, in a thread: the jobs
beside it go on, and importing this module stays light.  No exception or record here quotes a prompt, an answer or the
key.
"""

import asyncio
import itertools
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from leadjobs.core.clock import Deadline, SystemClock
from leadjobs.core.spend import Spend
from leadjobs.errors import OutOfTimeError, ProviderError, SettingsError
from leadjobs.leads.ai.calls import AIAnswer, AICall, Ledger
from leadjobs.leads.ai.errors import InvalidAnswerError, ModelRetiredError, TruncatedAnswerError
from leadjobs.leads.ai.models import DEFAULT_MODEL, Model, Usage, cost_usd_micros, find_model, resources_of
from leadjobs.leads.ai.responses import Reply, Request, send

if TYPE_CHECKING:
    from openai import AsyncOpenAI
    from openai.types.responses import ResponseFormatTextJSONSchemaConfigParam

T = TypeVar("T")

MIN_SECONDS: Final = 2.0
"""With less time left than this, a call would only be paid for and cut off."""

_SPARE_SECONDS = 0.5  # of the time left, for the writes after an answer
_RECORD_SECONDS = 2.0
_CHARS_PER_TOKEN = 4
_FRAME_TOKENS = 100  # what a provider adds around a request


@dataclass(frozen=True, slots=True, kw_only=True)
class Question(Generic[T]):
    """One thing to ask a model, and how its answer is read.

    ``instructions`` and ``format`` are the same bytes for every question of a feature, so that the provider can cache
    them; any change of them is a new ``prompt_version``.  ``output_tokens`` is how long the answer may be, reasoning
    included.  ``read`` returns the answer's value, or raises InvalidAnswerError.
    """

    feature: str
    prompt_version: str
    instructions: str
    format: "ResponseFormatTextJSONSchemaConfigParam"
    prompt: str
    output_tokens: int
    read: Callable[[str], T]

    @property
    def input_tokens(self) -> int:
        """How many tokens the whole question is, at four characters each: an estimate."""
        return estimated_tokens(self.instructions, self.format["schema"], self.prompt)

    @property
    def most_input_tokens(self) -> int:
        """How many tokens the whole question is at most: a token is at least one byte."""
        sent = (self.instructions, json.dumps(self.format["schema"]), self.prompt)
        return sum(len(text.encode(errors="replace")) for text in sent) + _FRAME_TOKENS


def estimated_tokens(instructions: str, schema: dict[str, Any], prompt: str) -> int:
    """How many tokens a prompt is with its instructions and schema, at four characters each: enough for a budget."""
    return math.ceil((len(instructions) + len(json.dumps(schema)) + len(prompt)) / _CHARS_PER_TOKEN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer(Generic[T]):
    """What a question brought, the model as answered, and what the call that brought it took."""

    value: T
    model: str
    usage: Usage | None
    cost_usd_micros: int | None
    response_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asking(Generic[T]):
    """What all physical calls of one `AI.ask` share."""

    question: Question[T]
    deadline: Deadline
    ledger: Ledger
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def must_have_time(self) -> None:
        """Raise OutOfTimeError if too little time is left for a call."""
        seconds_left = self.deadline.seconds_left()
        if seconds_left < MIN_SECONDS:
            raise OutOfTimeError(f"{max(seconds_left, 0):.1f} s left are too few to ask OpenAI")

    def read(self, text: str) -> T | InvalidAnswerError:
        """The answer's value, or what is wrong with it: as a value, for the ledger comes before the raise."""
        try:
            return self.question.read(text)
        except InvalidAnswerError as error:
            return error


class AI:
    """Asks one model, on one event loop, with one HTTP client.

    ``timeout`` is in seconds and bounds each physical call as a whole.  ``base_url`` None means the SDK's own default.
    ``uses`` names what a job type uses that asks: a hold on one of these holds it back.

    Raises:
        SettingsError: the key is blank.
    """

    def __init__(
        self, *, api_key: str, model: str = DEFAULT_MODEL, base_url: str | None = None, timeout: float = 20.0
    ) -> None:
        self._api_key = api_key.strip()  # a key pasted with its newline would fail as a connection error, for ever
        if not self._api_key:
            raise SettingsError("the OpenAI API key is blank: set it, or leave it unset")
        self._model = model
        self.uses = resources_of(model)
        self._base_url = base_url
        self._timeout = timeout
        self._client: AsyncOpenAI | None = None

    async def ask(self, question: Question[T], *, time_left: float, ledger: Ledger) -> Answer[T]:
        """Return a valid answer, by one call as a rule.

        An answer cut off at its token budget is asked for once more with twice the budget, and a model that is gone is
        replaced by its successor, as long as ``time_left`` (seconds) allows it.  All other retries are the queue's.

        Raises:
            OutOfTimeError: ``time_left`` is too short to ask.
            ProviderUnavailableError: down or slow; later may work.
            ModelBusyError: it said when to come back, or (QuotaExhaustedError) the account has no credit: return its
                ``hold``.
            OverBudgetError: the day's budget has no room for the call: let it pass.
            ProviderRefusedError: OpenAI refused this request, this key or this model, and will again.
            InvalidAnswerError: the answer breaks a rule of the question's ``read``, or was cut off twice.
        """
        asking = _Asking(question=question, deadline=Deadline(SystemClock(), time_left), ledger=ledger)
        asking.must_have_time()
        from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_attempt  # noqa: PLC0415

        def is_last(state: RetryCallState) -> bool:
            return stop_after_attempt(2)(state) or asking.deadline.seconds_left() < MIN_SECONDS

        retrying = AsyncRetrying(retry=retry_if_exception_type(TruncatedAnswerError), stop=is_last, reraise=True)
        async for attempt in retrying:
            with attempt:
                return await self._answer(asking, times_budget=attempt.retry_state.attempt_number)
        raise AssertionError("the last attempt returns or raises")

    async def aclose(self) -> None:
        """Close the connections; a later `ask` opens new ones."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _answer(self, asking: _Asking[T], *, times_budget: int) -> Answer[T]:
        """Return one answer, from the successor where the model is gone."""
        while True:
            model = find_model(self._model)
            try:
                return await self._call(asking, model, asking.question.output_tokens * times_budget)
            except ModelRetiredError:
                if model.successor is None:
                    raise
                if self._model == model.name:  # else another job has told and moved
                    await asking.ledger.retired(model.name, model.successor)
                    self._model = model.successor

    async def _call(self, asking: _Asking[T], model: Model, max_output_tokens: int) -> Answer[T]:
        """Make one physical call between its two ledger entries, its cost reserved, and judge what it brought."""
        client, question = await self._opened(), asking.question
        asking.must_have_time()  # also after a first import, and before a second call
        call = AICall(
            model=model.name,
            feature=question.feature,
            prompt_version=question.prompt_version,
            most_input_tokens=question.most_input_tokens,
            max_output_tokens=max_output_tokens,
            attempt_in_job=next(asking.numbers),
        )
        async with asking.ledger.spend(call) as spend:
            entry = _Entry(asking.ledger, await asking.ledger.asked(call), model, spend)
            try:
                reply = await send(client, self._request(asking, model, max_output_tokens))
                value = reply.said if isinstance(reply.said, ProviderError) else asking.read(reply.said)
            except BaseException as surprise:  # its text may quote the prompt: the class must do
                why = "cancelled" if isinstance(surprise, asyncio.CancelledError) else type(surprise).__name__
                await entry.close(Reply(said=""), ProviderError(f"{why}; it may have been billed"))
                raise
            await entry.close(reply, value if isinstance(value, ProviderError) else None)
        if isinstance(value, ProviderError):
            raise value
        return Answer(
            value=value,
            model=reply.model or model.name,
            usage=reply.usage,
            cost_usd_micros=cost_usd_micros(model, reply.usage),
            response_id=reply.response_id,
        )

    def _request(self, asking: _Asking[T], model: Model, max_output_tokens: int) -> Request:
        """The question as it is sent, in what is left of its time."""
        return Request(
            model=model,
            instructions=asking.question.instructions,
            prompt=asking.question.prompt,
            format=asking.question.format,
            max_output_tokens=max_output_tokens,
            seconds=max(min(self._timeout, asking.deadline.seconds_left() - _SPARE_SECONDS), 0.0),
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


@dataclass(frozen=True, slots=True)
class _Entry:
    """An entry of the ledger that is still open, and what is reserved for it."""

    ledger: Ledger
    interaction_id: int
    model: Model
    spend: Spend
    opened_at: float = field(default_factory=lambda: SystemClock().monotonic())

    async def close(self, reply: Reply, failure: ProviderError | None) -> None:
        """Write down how the call ended, also when this job is being cancelled."""
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
        self.spend.settle(**answer.took)
        writing = asyncio.ensure_future(self.ledger.answered(self.interaction_id, answer))
        try:
            await asyncio.shield(writing)
        except asyncio.CancelledError:
            # The shield keeps the write alive, but nobody would wait for it: the loop may end first.
            await asyncio.wait({writing}, timeout=_RECORD_SECONDS)
            raise
