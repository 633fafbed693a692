"""All doors as an OpenAPI 3.1 document: what each takes, every status it answers, and the JSON of it.

The JSON's schemas are made from the models that the doors answer with; what no model says (statuses, who may, what is
text) stands here, and is tried against the doors.
"""

from importlib.metadata import version
from inspect import cleandoc
from typing import Any, Final

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass
from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from leadjobs.core.report import Report, to_camel
from leadjobs.leads.door import MAX_PAGE, PAGE
from leadjobs.leads.views import MAX_ID, LeadDetail, LeadPage, ScoreFilter
from leadjobs.ops.health import Health

Json = dict[str, Any]

_REF: Final = "#/components/schemas/{model}"
_ERROR: Final[Json] = {
    "type": "object",
    "description": "What went wrong, in words, and its code: docs/errors.md says who must act.",
    "properties": {"error": {"type": "string"}, "code": {"type": "string", "pattern": "^LJ[0-9]{3}$"}},
    "required": ["error", "code"],
    "additionalProperties": False,
}
_TEXT: Final[Json] = {"text/plain": {"schema": {"type": "string"}}}
_DESCRIPTION: Final = """\
Doors answer other methods with 405 as text, and GET's paths to HEAD as well. Nothing is to be cached. A path of a door
may end in a slash."""


class _Untitled(GenerateJsonSchema):
    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002
        """No: a field's title would be its name again."""
        return False


def openapi() -> Json:
    """The document."""
    says: dict[str, Any] = {"description": cleandoc(Report.__doc__ or "")}
    report = dataclass(Report, config=ConfigDict(alias_generator=to_camel, json_schema_extra=says))
    models = (report, Health, LeadPage, LeadDetail)
    _, definitions = models_json_schema(
        [(model, "serialization") for model in models], ref_template=_REF, schema_generator=_Untitled
    )
    return {
        "openapi": "3.1.0",
        "info": {"title": "leadjobs", "version": version("leadjobs"), "description": _DESCRIPTION},
        "servers": [{"url": "/"}],
        "paths": {
            "/api/cron": _cron(),
            "/api/webhooks/{source}": _webhooks(),
            "/api/health": {
                "get": {
                    "operationId": "alive",
                    "summary": "Is the process up?",
                    "responses": {"200": _says("Yes; the database was not asked.", {"const": "ok"})},
                }
            },
            "/api/health/ready": _ready(),
            "/api/leads": _leads(),
            "/api/leads/{id}": _lead(),
        },
        "components": {
            "schemas": {"Error": _ERROR} | definitions["$defs"],
            "securitySchemes": {
                "cronSecret": {"type": "http", "scheme": "bearer", "description": "CRON_SECRET"},
                "apiToken": {"type": "http", "scheme": "bearer", "description": "`leadjobs tokens create`"},
            },
        },
    }


def _cron() -> Json:
    def operation(name: str) -> Json:
        return {
            "operationId": name,
            "summary": "Run what is due, within the time limit.",
            "security": [{"cronSecret": []}],
            "responses": {
                "200": _json("What was done.", _ref("Report")),
                "401": _error("Wrong or missing secret, or none is set."),
                "500": _error("A setting is missing or cannot work."),
                "503": _away("The database went away; with the report where a run had begun.", _ref("Report")),
            },
        }

    return {"get": operation("tick"), "post": operation("tickByPost")}


def _webhooks() -> Json:
    kept = _says("Kept, or there was nothing to keep; sending it again would not help.", {"type": "string"})
    kept["content"] |= {"text/xml": {"schema": {"type": "string"}}}
    return {
        "parameters": [_in_path("source", "The provider, such as twilio or postmark.", {"type": "string"})],
        "get": {
            "operationId": "explainWebhooks",
            "summary": "What this address is for, in words.",
            "responses": {
                "200": {"description": "A line.", "content": _TEXT},
                "404": {"description": "A line break in the address fits no door.", "content": _TEXT},
            },
        },
        "post": {
            "operationId": "receiveWebhook",
            "summary": "Take a provider's delivery, with the provider's own proof that it is genuine.",
            "requestBody": {"content": {"*/*": {"schema": {}}}},
            "responses": {
                "200": kept,
                "400": _error("It cannot be accepted."),
                "401": _error("It does not prove that its sender knows the secret, or none is set."),
                "404": _unknown("No source has this name."),
                "413": _error("The body is too large."),
                "500": _error("A setting is missing or cannot work."),
                "503": _away("Nothing was kept: send it again."),
            },
        },
    }


def _ready() -> Json:
    responses = {
        "200": _json("Work gets done.", _ref("Health")),
        "503": _json("It does not; the problems say why.", _ref("Health")),
    }
    return {"get": {"operationId": "ready", "summary": "Does work get done?", "responses": responses}}


def _leads() -> Json:
    score: Json = {"type": "string", "enum": [str(each) for each in ScoreFilter]}
    limit: Json = {"type": "integer", "minimum": 1, "maximum": MAX_PAGE, "default": PAGE}
    found = _json("Some leads, newest activity first, addresses and numbers masked.", _ref("LeadPage"))
    found["links"] = {
        "next": {"operationId": "listLeads", "parameters": {"cursor": "$response.body#/nextCursor"}},
        "lead": {"operationId": "showLead", "parameters": {"id": "$response.body#/leads/0/id"}},
    }
    return {
        "get": {
            "operationId": "listLeads",
            "summary": "The leads of the token's workspace.",
            "security": [{"apiToken": []}],
            "parameters": [
                _in_query("score", "Only these; all where it is left out. 1+ includes the disqualified.", score),
                _in_query("limit", "How many at most.", limit),
                _in_query("cursor", "The nextCursor of the page before.", {"type": "string"}),
            ],
            "responses": _for_token_holders()
            | {"200": found, "400": _error("An unknown parameter, or one that cannot be used; it is named.")},
        }
    }


def _lead() -> Json:
    lead_id = {"type": "integer", "format": "int64", "minimum": 1, "maximum": MAX_ID}
    return {
        "parameters": [_in_path("id", "The lead's id.", lead_id)],
        "get": {
            "operationId": "showLead",
            "summary": "Everything about one lead.",
            "security": [{"apiToken": []}],
            "responses": _for_token_holders()
            | {
                "200": _json("The lead.", _ref("LeadDetail")),
                "400": _error("This address takes no parameters."),
                "404": _unknown("The token's workspace has no such lead."),
            },
        },
    }


def _for_token_holders() -> Json:
    refused = _error("No token, a wrong or a revoked one.")
    refused["headers"] = {"WWW-Authenticate": {"required": True, "schema": {"const": "Bearer"}}}
    return {
        "401": refused,
        "500": _error("A setting is missing or cannot work."),
        "503": _away("The database does not answer, or not in time."),
    }


def _json(description: str, schema: Json) -> Json:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _says(description: str, status: Json) -> Json:
    schema = {"type": "object", "properties": {"status": status}, "required": ["status"]}
    return _json(description, schema)


def _error(description: str) -> Json:
    return _json(description, _ref("Error"))


def _unknown(description: str) -> Json:
    """404: from a door, or before it, where a line break in the address fits no door."""
    answer = _error(description)
    answer["content"] |= _TEXT
    return answer


def _away(description: str, *others: Json) -> Json:
    """503: an error that asks to try again later, or one of the ``others``."""
    answer = _json(description, {"anyOf": [_ref("Error"), *others]} if others else _ref("Error"))
    answer["headers"] = {"Retry-After": {"required": not others, "schema": {"type": "integer"}}}
    return answer


def _ref(model: str) -> Json:
    return {"$ref": _REF.format(model=model)}


def _in_path(name: str, description: str, schema: Json) -> Json:
    return {"name": name, "in": "path", "required": True, "description": description, "schema": schema}


def _in_query(name: str, description: str, schema: Json) -> Json:
    return {"name": name, "in": "query", "description": description, "schema": schema}
