"""Clay's answers: whose token, and what of a row can be used."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from leadjobs.channels.clay import ClayCallback
from leadjobs.errors import BadSignatureError, MalformedWebhookError
from leadjobs.leads.fact import Fact, FactKind
from leadjobs.leads.inbound import Delivery, Found, FoundStatus, Person
from leadjobs.web.signatures import Secrets

SAMPLES = Path(__file__).parents[1] / "samples/webhooks"
FOUND = (SAMPLES / "clay_enrichment_callback.json").read_bytes()
NOT_FOUND = (SAMPLES / "clay_enrichment_callback_not_found.json").read_bytes()
SECRET = "test-clay-token"
ADAPTER = ClayCallback(Secrets.parse(SECRET))
URL = "https://ops.example.test/api/webhooks/clay"


def delivery(body: bytes = FOUND, *, url: str = URL, **headers: str) -> Delivery:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return Delivery(source="clay", url=url, headers=given, body=body)


def said(**fields: object) -> Found:
    """What the sample means with these fields set; ``...`` removes one."""
    body = json.loads(FOUND) | fields
    return ADAPTER.read(
        delivery(json.dumps({name: value for name, value in body.items() if value is not ...}).encode())
    )


def test_the_token_verifies_where_a_column_can_put_it() -> None:
    """Its own header, as a bearer token or in the address; the current secret, the previous, and a stray newline."""
    genuine = [
        delivery(x_leadjobs_token=SECRET),
        delivery(authorization=f"Bearer {SECRET}"),
        delivery(url=f"{URL}?token={SECRET}"),
    ]
    for each in genuine:
        for setting in (SECRET, f"new,{SECRET}", f"{SECRET}\n"):
            ClayCallback(Secrets.parse(setting)).verify(each)


@pytest.mark.parametrize("setting", ["other", "", None, SECRET[:-1], f"{SECRET}x"])
def test_no_other_secret_verifies(setting: str | None) -> None:
    """A wrong secret refuses, and so does none, even an empty token."""
    adapter = ClayCallback(Secrets.parse(setting))
    for token in (SECRET, "", "None", "é"):
        with pytest.raises(BadSignatureError):
            adapter.verify(delivery(x_leadjobs_token=token))
    with pytest.raises(BadSignatureError):
        adapter.verify(delivery())


def test_what_was_found_is_read() -> None:
    """The sample brings a telephone number, and is known by the request that it answers."""
    meaning = ADAPTER.read(delivery())
    assert meaning.delivery_key.startswith("enr_01KAMPLE/sha256:")
    assert Found(
        source="clay",
        delivery_key="key",
        request_id="enr_01KAMPLE",
        status=FoundStatus.FOUND,
        facts=(Fact(FactKind.PHONE, "+447700900123"),),
    ) == replace(meaning, delivery_key="key")


def test_what_was_not_found_is_read() -> None:
    """Nothing found is an answer, too."""
    meaning = ADAPTER.read(delivery(NOT_FOUND))
    assert ("enr_02KAMPLE", FoundStatus.NOT_FOUND, Person(), ()) == (
        meaning.request_id,
        meaning.status,
        meaning.person,
        meaning.facts,
    )


def test_a_whole_row_is_read() -> None:
    """Firmographics fill the person, ways to reach them are facts in the spelling of all facts."""
    meaning = said(
        email=" Maya@BrightSmile.example ",
        linkedinUrl="https://www.linkedin.com/in/Maya-Ortiz/",
        company="BrightSmile Dental",
        industry="Dentists",
        headcount=42,
        jobTitle="Practice manager",
    )
    assert (
        Person(company="BrightSmile Dental", industry="Dentists", headcount="42", job_title="Practice manager")
        == meaning.person
    )
    assert (
        Fact(FactKind.PHONE, "+447700900123"),
        Fact(FactKind.EMAIL, "maya@brightsmile.example"),
        Fact(FactKind.LINKEDIN_PROFILE, "linkedin.com/in/maya-ortiz"),
    ) == meaning.facts


@pytest.mark.parametrize(
    ("phone", "value"),
    [
        ("+1 (415) 555-2671", "+14155552671"),
        ("415-555-2671", "4155552671"),
        ("No phone found", None),
        ("n/a", None),
        ("123", None),
        ("+1 415 555 2671 ext 12", None),
        ("1" * 40, None),
        ("٣٤٥٦٧٨٩٠١٢", None),
        (True, None),
        ({"number": "+14155552671"}, None),
        (None, None),
        ("", None),
    ],
)
def test_a_cell_without_a_number_is_none(phone: object, value: str | None) -> None:
    """A table's cell may hold words or worse: that is no number, and no error."""
    assert ((Fact(FactKind.PHONE, value),) if value else ()) == said(phone=phone).facts


@pytest.mark.parametrize(
    "cells",
    [
        {"email": "not found"},
        {"email": "a@b@c.example"},
        {"linkedinUrl": "https://www.linkedin.com/company/acme"},
        {"linkedinUrl": "https://evil.example/linkedin.com/in/maya"},
        {"linkedinUrl": "https://www.linkedin.com/in/maya/details"},
        {"company": ["Acme"], "industry": {}, "headcount": 4.5, "jobTitle": True},
        {"company": "x" * 301, "industry": " \0 "},
    ],
)
def test_success_without_anything_that_can_be_used_is_not_found(cells: dict[str, object]) -> None:
    """What Clay calls a success may bring nothing."""
    meaning = said(phone=None, **cells)
    assert (FoundStatus.NOT_FOUND, Person(), ()) == (meaning.status, meaning.person, meaning.facts)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("success", FoundStatus.FOUND),
        (" Success ", FoundStatus.FOUND),
        ("not_found", FoundStatus.NOT_FOUND),
        ("error", FoundStatus.FAILED),
    ],
)
def test_only_a_success_brings_anything(status: str, expected: FoundStatus) -> None:
    """A failed row's cells are left over from somewhere."""
    meaning = said(status=status, company="Acme")
    assert expected is meaning.status
    assert (expected is FoundStatus.FOUND) == bool(meaning.facts) == bool(meaning.person.company)


def test_the_same_bytes_are_one_delivery_and_others_are_another() -> None:
    """A row that is run again may know more: it is not taken for a re-send."""
    again, more = ADAPTER.read(delivery()), said(company="Acme")
    assert again.delivery_key == ADAPTER.read(delivery()).delivery_key != more.delivery_key


def test_what_cannot_be_kept_is_taken_out() -> None:
    """NUL and halves of surrogate pairs never reach the database."""
    assert "Ac?me" == said(company="Ac\ud83dme\0").person.company


@pytest.mark.parametrize("field", ["requestId", "status"])
def test_half_an_answer_names_the_field(field: str) -> None:
    """What the contract needs is named where it is missing, null or empty."""
    for value, problem in ((..., "is missing"), (None, "is null")):
        with pytest.raises(MalformedWebhookError, match=rf"^clay: {field} {problem}$"):
            said(**{field: value})


@pytest.mark.parametrize(
    "fields", [{"status": "pending"}, {"status": 1}, {"requestId": ""}, {"requestId": "x" * 201}, {"requestId": []}]
)
def test_what_no_contract_names_is_malformed(fields: dict[str, object]) -> None:
    """A status of another's making is told without the value."""
    with pytest.raises(MalformedWebhookError) as caught:
        said(**fields)
    assert "pending" not in str(caught.value)


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"\xff", b"{", b'{"requestId": "a"}', b'"x"'])
def test_any_other_body_is_malformed(body: bytes) -> None:
    """Whatever comes is read or malformed."""
    with pytest.raises(MalformedWebhookError):
        ADAPTER.read(delivery(body))
