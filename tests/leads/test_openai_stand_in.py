"""The stand-in and the server: they must be as strict, and as odd, as the real ones."""

import asyncio
import json
import logging
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from leadjobs.testing.openai import Delay, Failed, Fault, OpenAIStandIn, Refuse
from leadjobs.testing.serve import serve

SAMPLES = Path(__file__).parents[1] / "samples/openai"

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"size": {"type": "integer", "enum": [1, 2]}, "why": {"type": "string"}},
    "required": ["size", "why"],
    "additionalProperties": False,
}
ANSWER = {"size": 2, "why": "It is large."}


def request(schema: dict[str, Any] | None = None, **changed: object) -> dict[str, Any]:
    form = {"type": "json_schema", "name": "size", "schema": schema or SCHEMA, "strict": True}
    return {
        "model": "gpt-6-luna",
        "instructions": "Measure.",
        "input": "An elephant.",
        "text": {"format": form},
    } | changed


def sample(name: str) -> Any:
    return json.loads((SAMPLES / f"{name}.json").read_text())


@pytest.fixture
def stand_in() -> OpenAIStandIn:
    return OpenAIStandIn(answer=lambda _: ANSWER)


@pytest.fixture
def client(stand_in: OpenAIStandIn) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(stand_in),
        base_url="http://openai.test/v1",
        headers={"authorization": "Bearer sk-stand-in"},
    )


async def test_a_good_answer_has_the_shape_of_the_sample(client: httpx.AsyncClient, stand_in: OpenAIStandIn) -> None:
    """Every key of the recorded body is there, down to the bill, with tokens of four characters each."""
    response = await client.post("/responses", json=request())

    body, recorded = response.json(), sample("responses_ok")
    assert response.status_code == 200
    assert response.headers["x-request-id"] == "req_0001"
    assert set(recorded) <= set(body)
    assert body["usage"].keys() == recorded["usage"].keys()
    assert body["output"][0].keys() == recorded["output"][0].keys()
    assert json.loads(body["output"][0]["content"][0]["text"]) == ANSWER
    assert body["usage"]["output_tokens"] == -(-len(json.dumps(ANSWER)) // 4)
    assert body["usage"]["input_tokens"] == -(-len("Measure.An elephant." + json.dumps(SCHEMA)) // 4)
    assert stand_in.calls == [request()]


async def test_the_callback_sees_the_request(client: httpx.AsyncClient, stand_in: OpenAIStandIn) -> None:
    """What is said may depend on what was asked."""
    stand_in.answer = lambda asked: {"size": 1, "why": asked["input"]}

    body = (await client.post("/responses", json=request(input="A mouse."))).json()

    assert json.loads(body["output"][0]["content"][0]["text"]) == {"size": 1, "why": "A mouse."}


@pytest.mark.parametrize(
    ("header", "code"),
    [({}, None), ({"authorization": "Basic x"}, None), ({"authorization": "Bearer no"}, "invalid_api_key")],
)
async def test_a_wrong_key_is_refused(stand_in: OpenAIStandIn, header: dict[str, str], code: str | None) -> None:
    """Without the right bearer key both routes answer 401, and the call is not counted."""
    transport = httpx.ASGITransport(stand_in)
    async with httpx.AsyncClient(transport=transport, base_url="http://openai.test/v1", headers=header) as client:
        asked = await client.post("/responses", json=request())
        listed = await client.get("/models")

    assert (asked.status_code, listed.status_code) == (401, 401)
    assert asked.json()["error"]["code"] == code
    assert asked.json()["error"].keys() == sample("errors")["unauthorized"]["body"]["error"].keys()
    assert stand_in.calls == []


async def test_models_are_listed_until_they_are_gone(client: httpx.AsyncClient, stand_in: OpenAIStandIn) -> None:
    """A model that is gone is off the list, and asking it is the recorded 404."""
    stand_in.gone.add("gpt-5-nano")

    listed = (await client.get("/models")).json()
    asked = await client.post("/responses", json=request(model="gpt-5-nano"))

    assert [model["id"] for model in listed["data"]] == ["gpt-5.6-luna", "gpt-6-luna"]
    assert asked.status_code == 404
    assert asked.json() == sample("errors")["model_gone"]["body"]


def without(key: str) -> dict[str, Any]:
    return {name: value for name, value in SCHEMA.items() if name != key}


def nested(inner: dict[str, Any]) -> dict[str, Any]:
    properties = {"list": {"type": "array", "items": inner}}
    return {"type": "object", "properties": properties, "required": ["list"], "additionalProperties": False}


@pytest.mark.parametrize(
    ("schema", "cause"),
    [
        (without("additionalProperties"), "In context=(), 'additionalProperties' is required"),
        (SCHEMA | {"additionalProperties": True}, "'additionalProperties' is required"),
        (SCHEMA | {"required": ["size"]}, "Missing 'why'"),
        (nested(without("additionalProperties")), "In context=('properties', 'list', 'items'), 'additionalProperties'"),
        (nested(without("required")), "Missing 'size'"),
    ],
)
async def test_a_schema_that_is_not_strict_is_refused(
    client: httpx.AsyncClient, stand_in: OpenAIStandIn, schema: dict[str, Any], cause: str
) -> None:
    """At any depth: extras must be forbidden and every property required, else the recorded 400."""
    response = await client.post("/responses", json=request(schema))

    error = response.json()["error"]
    assert response.status_code == 400
    assert (error["code"], error["param"]) == ("invalid_json_schema", "text.format.schema")
    assert cause in error["message"]
    assert len(stand_in.calls) == 1


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"strict": False}, "invalid_json_schema"),
        ({"name": "a b"}, "invalid_value"),
        ({"name": "a" * 65}, "invalid_value"),
    ],
)
async def test_a_format_needs_a_proper_name_and_strict(
    client: httpx.AsyncClient, form: dict[str, Any], code: str
) -> None:
    """The name's characters and length are checked, and strict must be on."""
    asked = request()
    asked["text"]["format"] = asked["text"]["format"] | form

    response = await client.post("/responses", json=asked)

    assert (response.status_code, response.json()["error"]["code"]) == (400, code)


@pytest.mark.parametrize(
    ("model", "effort", "status"),
    [
        ("gpt-5-nano", "minimal", 200),
        ("gpt-5-nano", "none", 400),
        ("gpt-6-luna", "none", 200),
        ("gpt-6-luna", "minimal", 400),
    ],
)
async def test_each_model_has_its_own_efforts(client: httpx.AsyncClient, model: str, effort: str, status: int) -> None:
    """The old models know no `none` and the new ones no `minimal`."""
    response = await client.post("/responses", json=request(model=model, reasoning={"effort": effort}))

    assert response.status_code == status


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        ({"size": 3, "why": ""}, "answer.size must be one of [1, 2]"),
        ({"size": True, "why": ""}, "answer.size must be of type integer"),
        ({"size": 1, "why": None}, "answer.why must be of type string"),
        ({"size": 1}, "these differ: ['why']"),
        ({"size": 1, "why": "", "more": 1}, "these differ: ['more']"),
        ([], "answer must be of type object"),
    ],
)
async def test_a_callback_that_breaks_the_schema_is_told_so(
    client: httpx.AsyncClient, stand_in: OpenAIStandIn, answer: Any, cause: str
) -> None:
    """A strict model cannot answer so; the test that makes it do so has a fault, and learns which."""
    stand_in.answer = lambda _: answer

    error = (await client.post("/responses", json=request())).json()["error"]

    assert error["code"] == "stand_in_answer"
    assert cause in error["message"]


async def test_answers_are_checked_inside_lists_too(client: httpx.AsyncClient, stand_in: OpenAIStandIn) -> None:
    """The check goes as deep as the schema."""
    stand_in.answer = lambda _: {"list": [ANSWER, {"size": 9, "why": ""}]}

    error = (await client.post("/responses", json=request(nested(SCHEMA)))).json()["error"]

    assert error["message"] == "answer.list[1].size must be one of [1, 2]"


async def test_an_answer_over_its_budget_is_cut_off_there(client: httpx.AsyncClient, stand_in: OpenAIStandIn) -> None:
    """Reasoning and text share the budget; what came is billed, and the shape is the recorded one."""
    stand_in.reasoning_tokens = 12
    stand_in.cached_tokens = 3
    stand_in.cache_write_tokens = 4

    body = (await client.post("/responses", json=request(max_output_tokens=16))).json()

    assert body["status"] == "incomplete"
    assert body["incomplete_details"] == sample("responses_incomplete_truncated_json")["incomplete_details"]
    assert body["output"][0]["content"][0]["text"] == json.dumps(ANSWER)[:16]
    assert body["usage"]["output_tokens"] == 16
    assert body["usage"]["output_tokens_details"] == {"reasoning_tokens": 12}
    assert body["usage"]["input_tokens_details"] == {"cached_tokens": 3, "cache_write_tokens": 4}


async def test_reasoning_alone_can_use_up_the_budget(client: httpx.AsyncClient, stand_in: OpenAIStandIn) -> None:
    """Cut off while reasoning: no text at all, and the whole budget billed as reasoning."""
    stand_in.reasoning_tokens = 99

    body = (await client.post("/responses", json=request(max_output_tokens=16))).json()

    assert body["output"][0]["content"][0]["text"] == ""
    assert body["usage"]["output_tokens_details"] == {"reasoning_tokens": 16}


async def test_the_script_is_played_in_order_and_then_all_is_well(
    client: httpx.AsyncClient, stand_in: OpenAIStandIn
) -> None:
    """One behaviour a call, and only valid calls use one up."""
    stand_in.then(Refuse(status=429, code="x", headers={"retry-after": "2"}), Failed("server_error"))

    await client.post("/responses", json=request(without("required")))
    first = await client.post("/responses", json=request())
    second = await client.post("/responses", json=request())
    third = await client.post("/responses", json=request())

    assert (first.status_code, first.headers["retry-after"], first.json()["error"]["code"]) == (429, "2", "x")
    assert second.json()["status"] == "failed"
    assert second.json()["error"] == sample("responses_failed")["error"]
    assert second.json()["usage"] is None
    assert third.json()["status"] == "completed"


def text_of(response: httpx.Response) -> str:
    return str(response.json()["output"][0]["content"][0]["text"])


async def test_every_fault_does_what_it_says(client: httpx.AsyncClient, stand_in: OpenAIStandIn) -> None:
    """Each fault changes one thing about an answer with status 200."""
    stand_in.then(*Fault)
    got = {fault: await client.post("/responses", json=request()) for fault in Fault}

    assert {response.status_code for response in got.values()} == {200}
    assert text_of(got[Fault.TRUNCATED]) == json.dumps(ANSWER)[: len(json.dumps(ANSWER)) // 2]
    refusal = got[Fault.REFUSAL].json()["output"][0]["content"][0]
    assert refusal == sample("responses_refusal")["output"][0]["content"][0]
    assert got[Fault.CONTENT_FILTER].json()["incomplete_details"] == {"reason": "content_filter"}
    assert text_of(got[Fault.INVALID_JSON]).startswith("Sure!")
    assert json.loads(text_of(got[Fault.OUT_OF_RANGE])) == ANSWER | {"size": 3}
    assert json.loads(text_of(got[Fault.MISSING_KEY])) == {"why": "It is large."}
    assert got[Fault.HTML].headers["content-type"].startswith("text/html")
    assert got[Fault.HALF_A_BODY].headers["content-type"] == "application/json"
    with pytest.raises(ValueError, match=r"delimiter|Unterminated|Expecting"):
        got[Fault.HALF_A_BODY].json()
    assert got[Fault.NO_RESPONSE].json() == {}


async def test_a_delay_ends_when_the_client_hangs_up(stand_in: OpenAIStandIn, caplog: pytest.LogCaptureFixture) -> None:
    """A test that gives up on a slow answer leaves nothing running that the server would have to cut off."""
    stand_in.then(Delay(60))
    with serve(stand_in) as url:
        headers = {"authorization": "Bearer sk-stand-in"}
        async with httpx.AsyncClient(base_url=url, headers=headers) as client:
            with pytest.raises(httpx.ReadTimeout):
                await client.post("/v1/responses", json=request(), timeout=0.2)

    assert len(stand_in.calls) == 1
    assert caplog.text == ""


async def test_a_delayed_answer_comes_all_the_same(client: httpx.AsyncClient, stand_in: OpenAIStandIn) -> None:
    """Slow is not wrong."""
    stand_in.then(Delay(0.01))

    assert (await client.post("/responses", json=request())).json()["status"] == "completed"


# The server


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"hello"})


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serve(hello) as address:
        yield address


def test_the_server_answers_as_soon_as_the_block_begins(url: str) -> None:
    """No waiting and no retrying: the socket is open."""
    assert url.startswith("http://127.0.0.1:")
    assert httpx.get(url).text == "hello"


def test_many_servers_run_side_by_side(url: str) -> None:
    """Each has a port of its own."""
    with serve(hello) as second:
        assert second != url
        assert httpx.get(second).text == "hello"


def test_the_server_is_gone_when_the_block_ends_also_by_an_error() -> None:
    """Nothing listens any more, and no thread is left."""
    before = threading.active_count()

    with pytest.raises(ZeroDivisionError), serve(hello) as address:
        _ = 1 / 0

    assert threading.active_count() == before
    with pytest.raises(httpx.ConnectError):
        httpx.get(address)
    assert not [
        thread for thread in threading.enumerate() if thread.name == "leadjobs-serve" and address == thread.name
    ]


def test_signals_and_logging_stay_as_they_were() -> None:
    """A test's Ctrl-C is not swallowed, and no handler is put on uvicorn's loggers."""
    before = signal.getsignal(signal.SIGINT)
    with serve(hello):
        assert signal.getsignal(signal.SIGINT) is before
        assert logging.getLogger("uvicorn").handlers == []
        assert logging.getLogger("uvicorn.error").level == logging.WARNING


def test_an_app_that_cannot_start_is_an_error_and_no_hang() -> None:
    """A lifespan that fails is told at once."""

    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    with pytest.raises(RuntimeError, match="did not start"), serve(broken):
        pytest.fail("it must not begin")


def test_the_lifespan_begins_and_ends_with_the_block() -> None:
    """What the app opens at start it can close at the end."""
    seen = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for _ in range(2):
            kind = (await receive())["type"]
            seen.append(kind)
            await send({"type": f"{kind}.complete"})

    with serve(app):
        assert seen == ["lifespan.startup"]
    assert seen == ["lifespan.startup", "lifespan.shutdown"]


def test_a_request_that_never_ends_does_not_keep_the_server() -> None:
    """The block's end cuts off what still runs."""
    arrived, answers = threading.Event(), []

    async def stuck(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            arrived.set()
            await asyncio.sleep(3_600)

    with serve(stuck) as address:
        asking = threading.Thread(target=lambda: answers.append(httpx.get(address, timeout=30).status_code))
        asking.start()
        assert arrived.wait(10)
    asking.join(10)

    assert answers == [500]
