"""Clay: what it found out about a lead that we asked about.

From Clay's "HTTP API" and "Webhooks in Clay" pages (university.clay.com).  A row of a Clay table answers by an HTTP API
column, whose body and headers its owner types in: the body is our own contract (docs/enrichment.md), the proof a header
with a token.  Clay signs nothing, and running a row again posts again.  Whose the answer is, is told by our own
``requestId`` alone: it is a random one that only the table was given.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field

from leadjobs.channels import Id, Payload, body_key, clean, needs_token, read_as, read_json
from leadjobs.leads.fact import MAX_VALUE_CHARS, Fact, FactKind
from leadjobs.leads.inbound import Delivery, Found, FoundStatus, Identity, Person
from leadjobs.web.delivery import Answer
from leadjobs.web.signatures import Secrets

_STATUS: Mapping[Literal["success", "not_found", "error"], FoundStatus] = {
    "success": FoundStatus.FOUND,
    "not_found": FoundStatus.NOT_FOUND,
    "error": FoundStatus.FAILED,
}


def _cell(value: object) -> str | None:
    """A table's cell as text; None where it is empty, or nothing that a person would call a value."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    text = clean(str(value)).strip()
    return text if 0 < len(text) <= MAX_VALUE_CHARS else None


def _lower(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


_Cell = Annotated[str | None, BeforeValidator(_cell)]


class _Callback(Payload):
    request_id: Id = Field(alias="requestId")
    status: Annotated[Literal["success", "not_found", "error"], BeforeValidator(_lower)]
    phone: _Cell = None
    email: _Cell = None
    linkedin_url: _Cell = Field(alias="linkedinUrl", default=None)
    company: _Cell = None
    industry: _Cell = None
    headcount: _Cell = None
    job_title: _Cell = Field(alias="jobTitle", default=None)


@dataclass(frozen=True, slots=True)
class ClayCallback:
    """The adapter; ``secrets`` are the tokens that we type into the column's headers."""

    secrets: Secrets
    source: ClassVar[str] = "clay"
    thanks: ClassVar[Answer | None] = None

    def verify(self, delivery: Delivery) -> None:
        """Return if a header carries our token.

        Raises:
            BadSignatureError: wrong or missing token, or no secret is set.
        """
        needs_token(self.source, self.secrets, delivery, "x-leadjobs-token")

    def read(self, delivery: Delivery) -> Found:
        """Say what a verified delivery means.

        Raises:
            MalformedWebhookError: it is not the body that our contract names.
        """
        said = read_as(self.source, _Callback, read_json(self.source, delivery.body))
        status = _STATUS[said.status]
        is_found = status is FoundStatus.FOUND
        person, facts = (_person(said), tuple(_facts(said))) if is_found else (Person(), ())
        if is_found and person == Person() and not facts:
            status = FoundStatus.NOT_FOUND
        return Found(
            source=self.source,
            # The same row may answer again, and know more: only equal bytes are the same delivery.
            delivery_key=f"{said.request_id}/{body_key(delivery.body)}",
            request_id=said.request_id,
            status=status,
            person=person,
            facts=facts,
        )


_PHONE = re.compile(r"\+?[ ().-]{0,2}\d(?:[ ().-]{0,2}\d){6,14}", re.ASCII)
_EMAIL = re.compile(r"[^\s@<>\"]{1,64}@[\w.-]+\.\w{2,24}")
_PROFILE = re.compile(r"linkedin\.com/(?:in|pub)/[^\s/]+")


def _person(said: _Callback) -> Person:
    return Person(company=said.company, industry=said.industry, headcount=said.headcount, job_title=said.job_title)


def _facts(said: _Callback) -> Iterator[Fact]:
    """What can be used of it: a cell may hold "No phone found" instead of a number."""
    if said.phone and _PHONE.fullmatch(said.phone):
        yield Fact(FactKind.PHONE, Identity.phone(said.phone).value)
    if said.email and _EMAIL.fullmatch(said.email):
        yield Fact(FactKind.EMAIL, Identity.email(said.email).value)
    if said.linkedin_url and _PROFILE.fullmatch(page := Identity.linkedin_profile(said.linkedin_url).value):
        yield Fact(FactKind.LINKEDIN_PROFILE, page)
