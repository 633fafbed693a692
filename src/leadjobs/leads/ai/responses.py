"""One physical call of OpenAI's Responses API, and what came of it.

Only surprises are raised: every way a call can fail is a value, for it is written down before it is acted on.  No error
here quotes a prompt, an answer or the key.
"""

import asyncio
import math
import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from leadjobs.errors import ProviderError, ProviderRefusedError, ProviderUnavailableError
from leadjobs.leads.ai.errors import (
    InvalidAnswerError,
    ModelBusyError,
    ModelRetiredError,
    QuotaExhaustedError,
    TruncatedAnswerError,
)
from leadjobs.leads.ai.models import PROVIDER, Model, Usage

if TYPE_CHECKING:
    from openai import APIStatusError, AsyncOpenAI
    from openai._legacy_response import LegacyAPIResponse
    from openai.types.responses import Response, ResponseFormatTextJSONSchemaConfigParam, ResponseTextConfigParam

_BUSY_STATUS = frozenset({408, 409, 429})
_BUSY_CODES = frozenset({"server_error", "rate_limit_exceeded", "vector_store_timeout"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked.  ``seconds`` bounds the whole call."""

    model: Model
    instructions: str
    prompt: str
    format: "ResponseFormatTextJSONSchemaConfigParam"
    max_output_tokens: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What one physical call brought: the answer's text, or why there is none."""

    said: str | ProviderError
    usage: Usage | None = None
    response_id: str | None = None
    request_id: str | None = None
    model: str | None = None
    service_tier: str | None = None


async def send(client: "AsyncOpenAI", request: Request) -> Reply:
    """Ask once, and return whatever came of it; only surprises are raised.

    The time is bounded here too: the SDK's own timeout starts anew with every piece of an answer.
    """
    import openai  # noqa: PLC0415 the client has imported it by now

    model = request.model
    text: ResponseTextConfigParam = {"format": request.format}
    if model.verbosity is not None:
        text["verbosity"] = model.verbosity
    try:
        async with asyncio.timeout(request.seconds):
            raw = await client.responses.with_raw_response.create(
                model=model.name,
                instructions=request.instructions,
                input=request.prompt,
                text=text,
                reasoning=openai.omit if model.effort is None else {"effort": model.effort},
                max_output_tokens=request.max_output_tokens,
                service_tier="default",  # the prices in our table are this tier's
                store=False,
                timeout=request.seconds,
            )
    except (TimeoutError, openai.APITimeoutError):
        late = f"OpenAI did not answer within {request.seconds:.1f} s; it may have been billed"
        return Reply(said=ProviderUnavailableError(late))
    except openai.APIStatusError as error:
        return Reply(said=_status_error(error, model), request_id=error.request_id)
    except openai.APIConnectionError:
        return Reply(said=ProviderUnavailableError("the connection to OpenAI failed; it may have been billed"))
    return _read(raw)


def _read(raw: "LegacyAPIResponse[Response]") -> Reply:
    """What an answer with status 200 says.  The SDK checks nothing: HTML arrives as a string, ``{}`` as a Response."""
    try:
        answer = raw.parse()
        return Reply(
            said=_said(answer),
            usage=Usage.reported(answer.usage),
            response_id=answer.id,
            request_id=raw.request_id,
            model=answer.model,
            service_tier=answer.service_tier,
        )
    except (AttributeError, TypeError, ValueError):
        no_response = ProviderUnavailableError("what came back is no answer of OpenAI's; a proxy may be in the way")
        return Reply(said=no_response, request_id=raw.request_id)


def _said(answer: "Response") -> str | ProviderError:
    """The text of this answer, or why it has none."""
    if answer.status != "completed":
        return _unfinished(answer)
    parts = [part for item in answer.output if item.type == "message" for part in item.content]
    if any(part.type == "refusal" for part in parts):
        return ProviderRefusedError("the model refused to answer")
    return answer.output_text


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
        no_credit = f"the OpenAI account has no credit ({said}): a person must add some or raise its limit"
        return QuotaExhaustedError(no_credit, uses=PROVIDER, retry_after=None)
    if error.status_code in _BUSY_STATUS or error.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        busy, seconds = f"OpenAI is not available: {said}", _retry_after(error)
        if seconds is None:
            return ProviderUnavailableError(busy)
        return ModelBusyError(busy, uses=model.resource, retry_after=seconds)
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
