"""OpenAI on this machine: the Responses API over HTTP, with the checks, bills and faults of the real one.

Shapes are those of ``tests/samples/openai``, which the SDK was run against.  What the model says comes from a callback,
so this knows nothing of what it is asked about.
"""

import asyncio
import contextlib
import itertools
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, assert_never

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from leadjobs.testing.strict_schema import mismatch, not_strict

Json = dict[str, Any]
"""A JSON object at the edge."""

MODELS: Final = ("gpt-5-nano", "gpt-5.6-luna", "gpt-6-luna")
"""The models there are, unless a test says otherwise."""

_GPT_5 = ("minimal", "low", "medium", "high")
_LATER = ("none", "low", "medium", "high", "xhigh", "max")
_EFFORTS = {"gpt-5-nano": _GPT_5, "gpt-5.6-luna": _LATER, "gpt-6-luna": _LATER}
_CREATED_AT = 1_795_341_600


class Fault(StrEnum):
    """What can be wrong with one answer of status 200."""

    TRUNCATED = "truncated"
    REFUSAL = "refusal"
    CONTENT_FILTER = "content_filter"
    INVALID_JSON = "invalid_json"
    OUT_OF_RANGE = "out_of_range"
    MISSING_KEY = "missing_key"
    HTML = "html"
    HALF_A_BODY = "half_a_body"
    NO_RESPONSE = "no_response"


@dataclass(frozen=True, slots=True)
class Failed:
    """An answer of status 200 whose own status is ``failed``, with this error code (None: no error at all)."""

    code: str | None


@dataclass(frozen=True, slots=True)
class Delay:
    """The usual answer, this many seconds later; a client that hangs up ends the wait."""

    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Refuse:
    """An HTTP error in OpenAI's shape."""

    status: int
    code: str | None = None
    type: str = "invalid_request_error"
    param: str | None = None
    message: str = "No."
    headers: Mapping[str, str] = field(default_factory=dict)

    def response(self) -> JSONResponse:
        """The HTTP answer."""
        error = {"message": self.message, "type": self.type, "param": self.param, "code": self.code}
        return JSONResponse({"error": error}, status_code=self.status, headers=dict(self.headers))


Behaviour = Fault | Failed | Delay | Refuse
"""What the next call can be told to do."""


class OpenAIStandIn:
    """An ASGI app that speaks OpenAI's HTTP protocol: ``POST /v1/responses`` and ``GET /v1/models``.

    ``answer`` gets each valid request's JSON and returns the object that the model says; one that breaks the request's
    own schema comes back as status 400 with code ``stand_in_answer``, for the fault is the test's.  An answer larger
    than ``max_output_tokens`` is truncated, as by the real one.  Tokens are characters divided by four.

    Tests read ``calls`` (every request that came with the right key, as JSON) and may change the other attributes
    between calls: ``gone`` are models that no longer exist; the three counts go into each bill.
    """

    def __init__(
        self, *, answer: Callable[[Json], Json], api_key: str = "sk-stand-in", models: Iterable[str] = MODELS
    ) -> None:
        self.answer = answer
        self.api_key = api_key
        self.models = tuple(models)
        self.gone: set[str] = set()
        self.cached_tokens = 0
        self.cache_write_tokens = 0
        self.reasoning_tokens = 0
        self.calls: list[Json] = []
        self._script: list[tuple[str | None, Behaviour]] = []
        self._numbers = itertools.count(1)
        routes = [
            Route("/v1/responses", self._responses, methods=["POST"]),
            Route("/v1/models", self._list_models, methods=["GET"]),
        ]
        self._app = Starlette(routes=routes)

    def then(self, *behaviours: Behaviour, of: str | None = None) -> None:
        """Have the next valid calls behave so, one each; after them all is well again.

        ``of`` is the name of the format (``text.format.name``) that is meant; None means any.
        """
        self._script.extend((of, behaviour) for behaviour in behaviours)

    def _next(self, asked: Json) -> Behaviour | None:
        name = asked.get("text", {}).get("format", {}).get("name")
        found = next((line for line in self._script if line[0] in {None, name}), None)
        if found is None:
            return None
        self._script.remove(found)
        return found[1]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Speak ASGI."""
        await self._app(scope, receive, send)

    async def _list_models(self, request: Request) -> Response:
        if refusal := self._wrong_key(request):
            return refusal.response()
        there = [name for name in self.models if name not in self.gone]
        data = [{"id": name, "object": "model", "created": _CREATED_AT, "owned_by": "openai"} for name in there]
        return JSONResponse({"object": "list", "data": data})

    async def _responses(self, request: Request) -> Response:
        number = next(self._numbers)
        response = await self._respond(request, number)
        response.headers["x-request-id"] = f"req_{number:04}"
        return response

    async def _respond(self, request: Request, number: int) -> Response:
        """Check a call as OpenAI does, then answer it."""
        if refusal := self._wrong_key(request):
            return refusal.response()
        asked: Json = await request.json()
        self.calls.append(asked)
        if refusal := self._unknown_model(asked) or _bad_effort(asked) or _bad_format(asked):
            return refusal.response()
        said = await asyncio.to_thread(self.answer, asked)  # it may wait: other calls go on
        if wrong := mismatch(said, _schema(asked), "answer"):
            return Refuse(status=400, code="stand_in_answer", message=wrong).response()
        draft = _Draft(number=number, asked=asked, said=said, bill=self._bill(asked))
        return await _behave(self._next(asked), draft, request)

    def _wrong_key(self, request: Request) -> Refuse | None:
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or not key:
            return Refuse(status=401, message="Missing bearer authentication in header")
        if key != self.api_key:  # the real one quotes a part of the key, too
            message = f"Incorrect API key provided: {key[:3]}***{key[-4:]}."
            return Refuse(status=401, code="invalid_api_key", message=message)
        return None

    def _unknown_model(self, asked: Json) -> Refuse | None:
        name = asked.get("model")
        if name in self.models and name not in self.gone:
            return None
        message = f"The model `{name}` does not exist or you do not have access to it."
        return Refuse(status=404, code="model_not_found", message=message)

    def _bill(self, asked: Json) -> "_Bill":
        prompt = f"{asked.get('instructions') or ''}{asked.get('input')}{json.dumps(_schema(asked))}"
        return _Bill(
            input_tokens=_tokens(prompt),
            cached_tokens=self.cached_tokens,
            cache_write_tokens=self.cache_write_tokens,
            reasoning_tokens=self.reasoning_tokens,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bill:
    """What a call is billed for, but for the text of the answer."""

    input_tokens: int
    cached_tokens: int
    cache_write_tokens: int
    reasoning_tokens: int

    def usage(self, output_tokens: int) -> Json:
        """The ``usage`` of a body."""
        return {
            "input_tokens": self.input_tokens,
            "input_tokens_details": {
                "cached_tokens": self.cached_tokens,
                "cache_write_tokens": self.cache_write_tokens,
            },
            "output_tokens": output_tokens,
            "output_tokens_details": {"reasoning_tokens": min(self.reasoning_tokens, output_tokens)},
            "total_tokens": self.input_tokens + output_tokens,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Draft:
    """An answer that a fault may still change."""

    number: int
    asked: Json
    said: Json
    bill: _Bill

    @property
    def text(self) -> str:
        """What the model says, before anything went wrong."""
        return json.dumps(self.said)

    @property
    def budget(self) -> float:
        """How many tokens the answer may have."""
        return self.asked.get("max_output_tokens") or math.inf

    def empty_body(self) -> Json:
        """A body without output and bill."""
        return {
            "id": f"resp_{self.number:04}",
            "object": "response",
            "created_at": _CREATED_AT + self.number,
            "model": self.asked["model"],
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
            "service_tier": "default",
            "status": "completed",
            "error": None,
            "incomplete_details": None,
            "output": [],
            "usage": None,
        }

    def body(self, text: str | None = None) -> Json:
        """A complete answer; or a truncated one, where reasoning and text are over the budget."""
        text = self.text if text is None else text
        tokens = self.bill.reasoning_tokens + _tokens(text)
        if tokens <= self.budget:
            return self._said({"type": "output_text", "text": text, "annotations": []}, tokens)
        return self.truncated(int(max(self.budget - self.bill.reasoning_tokens, 0)) * 4)

    def truncated(self, chars: int) -> Json:
        """An answer that ends after so many characters, with the whole budget billed."""
        budget = int(min(self.budget, self.bill.reasoning_tokens + _tokens(self.text)))
        body = self._said({"type": "output_text", "text": self.text[:chars], "annotations": []}, budget)
        return body | {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}

    def filtered(self) -> Json:
        """An answer that the content filter stopped."""
        body = self._said({"type": "output_text", "text": "", "annotations": []}, 1)
        return body | {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}

    def refused(self) -> Json:
        """An answer in which the model refuses: complete, and billed."""
        refusal = "I can't help with that."
        return self._said({"type": "refusal", "refusal": refusal}, _tokens(refusal))

    def _said(self, content: Json, output_tokens: int) -> Json:
        message = {
            "id": f"msg_{self.number:04}",
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [content],
        }
        return self.empty_body() | {"output": [message], "usage": self.bill.usage(output_tokens)}


async def _behave(behaviour: Behaviour | None, draft: _Draft, request: Request) -> Response:
    """The answer, as the script wants it."""
    match behaviour:
        case None:
            return JSONResponse(draft.body())
        case Delay(seconds):
            await _wait_or_hang_up(request, seconds)
            return JSONResponse(draft.body())
        case Failed(code):
            error = code and {"code": code, "message": "The model failed to generate a response."}
            return JSONResponse(draft.empty_body() | {"status": "failed", "error": error})
        case Refuse():
            return behaviour.response()
        case Fault():
            return _faulty(behaviour, draft)
        case _:
            assert_never(behaviour)


def _faulty(fault: Fault, draft: _Draft) -> Response:
    """The answer with one thing wrong."""
    body: Json = {}
    match fault:
        case Fault.HTML:
            return HTMLResponse("<html><body>502 Bad Gateway</body></html>")
        case Fault.HALF_A_BODY:
            return Response(json.dumps(draft.body())[:-40], media_type="application/json")
        case Fault.NO_RESPONSE:
            body = {}
        case Fault.TRUNCATED:
            body = draft.truncated(len(draft.text) // 2)
        case Fault.REFUSAL:
            body = draft.refused()
        case Fault.CONTENT_FILTER:
            body = draft.filtered()
        case Fault.INVALID_JSON:
            body = draft.body(f"Sure! Here it is: {draft.text}")
        case Fault.OUT_OF_RANGE:
            body = draft.body(json.dumps(draft.said | _out_of_range(_schema(draft.asked))))
        case Fault.MISSING_KEY:
            body = draft.body(json.dumps(dict(list(draft.said.items())[1:])))
        case _:
            assert_never(fault)
    return JSONResponse(body)


def _out_of_range(schema: Json) -> Json:
    """A value outside the first integer enum of the schema."""
    name, enum = next((name, part["enum"]) for name, part in schema["properties"].items() if part["type"] == "integer")
    return {name: max(enum) + 1}


async def _wait_or_hang_up(request: Request, seconds: float) -> None:
    """Wait so long, or until the client is gone; the body has been read, so all that can arrive is that."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while (await request.receive())["type"] != "http.disconnect":
                pass


def _tokens(text: str) -> int:
    return math.ceil(len(text) / 4)


def _schema(asked: Json) -> Json:
    schema: Json = asked.get("text", {}).get("format", {}).get("schema", {})
    return schema


def _bad_effort(asked: Json) -> Refuse | None:
    """The refusal of an effort that the model does not have."""
    effort, known = (asked.get("reasoning") or {}).get("effort"), _EFFORTS.get(asked["model"])
    if effort is None or known is None or effort in known:
        return None
    values = ", ".join(f"'{value}'" for value in known)
    message = f"Unsupported value: '{effort}' is not supported with the '{asked['model']}' model. Supported: {values}."
    return Refuse(status=400, code="unsupported_value", param="reasoning.effort", message=message)


def _bad_format(asked: Json) -> Refuse | None:
    """The refusal of a format that breaks a rule of strict structured outputs."""
    form = asked.get("text", {}).get("format")
    if form is None or form.get("type") != "json_schema":
        return None
    if not re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", form.get("name", ""), re.ASCII):
        message = "Invalid 'text.format.name': string does not match pattern '^[a-zA-Z0-9_-]+$'."
        return Refuse(status=400, code="invalid_value", param="text.format.name", message=message)
    wrong = "'strict' must be true." if form.get("strict") is not True else not_strict(form["schema"])
    if wrong is None:
        return None
    message = f"Invalid schema for response_format '{form['name']}': {wrong}"
    return Refuse(status=400, code="invalid_json_schema", param="text.format.schema", message=message)
