"""The OpenAPI document says what the doors do: real answers are held against it."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from jsonschema import Draft202012Validator
from tests.leads.reader import identity, keep, lead, message, reader, token_for

from leadjobs.app import App
from leadjobs.leads.sessions import Sessions
from leadjobs.leads.tables import Enrichment, LeadFact, LeadScore, ReplyDraft
from leadjobs.openapi import openapi

DOCUMENT = Path(__file__).parents[2] / "docs" / "openapi.json"
BASE = "https://ops.example.test"
API: dict[str, Any] = openapi()


def test_the_document_in_docs_is_this_release_s() -> None:
    """Write it anew with: leadjobs openapi > docs/openapi.json."""
    assert API == json.loads(DOCUMENT.read_text())


def test_the_document_is_openapi_3_1() -> None:
    """By the specification's own schema, which schemathesis carries."""
    assert API["openapi"].startswith("3.1.")
    schemathesis.openapi.from_dict(API).validate()


def references(part: Any) -> set[str]:
    """All that some part of the document refers to."""
    if isinstance(part, dict):
        return {part["$ref"]} if "$ref" in part else set().union(*map(references, part.values()))
    return set().union(*map(references, part)) if isinstance(part, list) else set()


def test_what_is_referred_to_is_there_and_the_rest_is_not() -> None:
    """No dangling reference, and no schema that nothing uses."""
    schemas = {f"#/components/schemas/{name}" for name in API["components"]["schemas"]}
    assert schemas == references(API)


def closed(part: Any) -> Any:
    """The same schema, where an object has no more than is described, and all of that."""
    if isinstance(part, dict):
        told = part.get("properties")
        more = {"additionalProperties": False, "required": list(told)} if isinstance(told, dict) else {}
        return {key: closed(value) for key, value in part.items()} | more
    return [closed(each) for each in part] if isinstance(part, list) else part


def assert_is_described(answer: httpx.Response, template: str) -> None:
    """Its status, media type and headers are in the document, and its JSON is all that is there."""
    told = API["paths"][template][answer.request.method.lower()]["responses"][str(answer.status_code)]
    for name, header in told.get("headers", {}).items():
        assert not header.get("required") or name.lower() in answer.headers
    media_type = answer.headers["content-type"].partition(";")[0]
    schema = told["content"][media_type]["schema"]
    shown = answer.json() if media_type == "application/json" else answer.text
    Draft202012Validator(closed({"components": API["components"]} | schema)).validate(shown)


async def test_a_full_sheet_and_its_list_are_described(sessions: Sessions, workspace: int) -> None:
    """Every field of every part, and none that the document does not know."""
    (maya,) = await keep(sessions, lead(workspace, overall_score=3))
    await keep(sessions, identity(maya, "email", "maya@brightsmile.example"))
    (said,) = await keep(sessions, message(maya, 1))
    of_maya = {"lead_id": maya.id, "message_id": said.id}
    scores = dict.fromkeys(("fit_score", "intent_score", "overall_score"), 3) | {"score_reasoning": "Asks."}
    run = {"through_message_id": said.id, "job_id": 1, "job_attempt": 1, "is_applied": True}
    await keep(sessions, LeadScore(**of_maya, **scores, **run))
    await keep(sessions, ReplyDraft(**of_maya, body="Thanks", model="m", prompt_version="v"))
    await keep(sessions, LeadFact(**of_maya, kind="phone", value="1", origin="message"))
    await keep(sessions, Enrichment(**of_maya, request_id="r", kind="phone", status="asked"))
    async with reader(sessions, await token_for(sessions, workspace)) as http:
        page, sheet = await http.get("/api/leads"), await http.get(f"/api/leads/{maya.id}")

    assert ([200, 200], 1) == ([page.status_code, sheet.status_code], len(page.json()["leads"]))
    assert all(sheet.json()[name] for name in ("conversation", "scores", "drafts", "facts", "enrichments"))
    assert_is_described(page, "/api/leads")
    assert_is_described(sheet, "/api/leads/{id}")


@pytest.mark.parametrize(
    ("path", "pattern", "status"),
    [
        ("/api/leads?limit=0", "/api/leads", 400),
        ("/api/leads/1?limit=1", "/api/leads/{id}", 400),
        ("/api/leads/1", "/api/leads/{id}", 404),
    ],
)
async def test_refusals_are_described(sessions: Sessions, workspace: int, path: str, pattern: str, status: int) -> None:
    """What a token's bearer may do wrong, and the same without a token, or without a database."""
    token = await token_for(sessions, workspace)
    away = Sessions("postgresql://nobody@/nowhere?host=/tmp/no-such-folder")
    for at, bearer, expected in ((sessions, token, status), (sessions, None, 401), (away, token, 503)):
        async with reader(at, bearer) as http:
            answer = await http.get(path)
            assert expected == answer.status_code
            assert_is_described(answer, pattern)


async def test_all_doors_are_described(app: App, workspace: int) -> None:
    """Each as the app serves it, with and without what it asks for."""
    cron = {"Authorization": "Bearer test-cron-secret"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app.doors), base_url=BASE) as http:
        for method, path, pattern, headers, status in (
            ("GET", "/api/cron", "/api/cron", cron, 200),
            ("POST", "/api/cron", "/api/cron", cron, 200),
            ("POST", "/api/cron", "/api/cron", {}, 401),
            ("GET", "/api/webhooks/twilio", "/api/webhooks/{source}", {}, 200),
            ("POST", "/api/webhooks/twilio", "/api/webhooks/{source}", {}, 401),
            ("POST", "/api/webhooks/nobody", "/api/webhooks/{source}", {}, 404),
            ("GET", "/api/health", "/api/health", {}, 200),
            ("GET", "/api/health/ready", "/api/health/ready", {}, 200),
            ("GET", "/api/leads", "/api/leads", {}, 401),
            ("GET", "/api/leads/1", "/api/leads/{id}", {}, 401),
        ):
            answer = await http.request(method, path, headers=headers)
            assert status == answer.status_code, answer.text
            assert_is_described(answer, pattern)
