"""A declared type checks payloads where they are made, and reads back what was stored."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, Literal
from uuid import UUID

import psycopg
import pytest
from psycopg.rows import DictRow
from pydantic import BaseModel, ConfigDict, Field, computed_field, model_validator
from pydantic.alias_generators import to_camel
from typing_extensions import TypedDict

from leadjobs import JobType, Lane, enqueue
from leadjobs.errors import EnqueueError, PayloadError

Db = psycopg.AsyncConnection[DictRow]

SECRET = "ada@example.com"
NOW = datetime(2026, 11, 23, 12, 30, tzinfo=UTC)


class Tone(Enum):
    WARM = "warm"
    COLD = "cold"


class Address(BaseModel):
    street: str


class Model(BaseModel):
    """Everything that JSON has no word for."""

    lead_id: int
    at: datetime
    within: timedelta
    price: Decimal
    token: UUID
    raw: bytes
    tone: Tone
    tags: frozenset[str]
    address: Address | None = None


class StrictModel(Model):
    model_config = ConfigDict(strict=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)

    @computed_field
    def is_early(self) -> bool:
        return self.at < NOW


@dataclass(frozen=True, slots=True)
class Record:
    lead_id: int
    at: datetime
    address: Address
    note: str | None = None


class Mapped(TypedDict):
    lead_id: int
    tags: list[str]


class Email(BaseModel):
    kind: Literal["email"]


class Sms(BaseModel):
    kind: Literal["sms"]


class Either(BaseModel):
    by: Email | Sms = Field(discriminator="kind")


EVERYTHING: dict[str, Any] = {
    "lead_id": 7,
    "at": NOW,
    "within": timedelta(days=1, seconds=5),
    "price": Decimal("1.10"),
    "token": UUID(int=5),
    "raw": b"bytes",
    "tone": Tone.COLD,
    "tags": frozenset({"a", "b"}),
    "address": Address(street="\N{GRINNING FACE} Row"),
}


@pytest.mark.parametrize(
    ("shape", "payload"),
    [
        (Model, Model(**EVERYTHING)),
        (StrictModel, StrictModel(**EVERYTHING)),
        (Record, Record(7, NOW, Address(street="x"))),
        (Mapped, {"lead_id": 7, "tags": ["a"]}),
        (Either, Either(by=Sms(kind="sms"))),
        (dict, {"anything": [1, 2.5, None, {"deep": "x"}]}),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
async def test_a_payload_comes_back_from_the_database_as_its_type(shape: Any, payload: Any, db: Db) -> None:
    """Models (strict ones and ones with other names in JSON too), frozen dataclasses and TypedDicts come back equal."""
    kind = JobType[Any](name="SEND", payload=shape)
    await enqueue(db, kind.job(payload, tenant="t"))

    row = await (await db.execute("SELECT payload FROM background_job")).fetchone()

    assert row is not None
    assert payload == kind.read(json.dumps(row["payload"]))


@pytest.mark.parametrize(
    ("shape", "payload", "named"),
    [
        (Record, {"lead_id": SECRET, "at": NOW, "address": {"street": "x"}}, "lead_id: "),
        (Record, {"lead_id": 1, "at": SECRET, "address": {"street": "x"}}, "at: "),
        (Record, {"lead_id": 1, "at": NOW, "address": {"street": [SECRET]}}, "address.street: "),
        (Record, {"lead_id": 1, "at": NOW}, "address: "),
        (Record, Record(SECRET, NOW, Address(street="x")), "lead_id: "),  # type: ignore[arg-type]  # nothing else checks it
        (Model, Model.model_construct(**(EVERYTHING | {"price": SECRET})), "price: "),
        (Model, EVERYTHING | {"tone": SECRET}, "tone: "),
        (Model, EVERYTHING | {"token": SECRET}, "token: "),
        (Mapped, {"lead_id": 1, "tags": ["a", {SECRET: SECRET}]}, r"tags\.1: "),
        (Either, {"by": {"kind": SECRET}}, "by: "),
        (dict, {"n": float("nan"), "secret": SECRET}, "not JSON"),
        (dict, {"n": object(), "secret": SECRET}, "object"),
        (list[str] | dict, [SECRET], "is not an object"),
        (str | dict, SECRET, "is not an object"),
    ],
)
def test_a_payload_that_does_not_fit_names_the_field_and_hides_the_value(shape: Any, payload: Any, named: str) -> None:
    """Also where pydantic would trust the instance it is given, or show a tag."""
    with pytest.raises(PayloadError, match=f"payload of SEND.*{named}") as caught:
        JobType[Any](name="SEND", payload=shape).job(payload)
    assert SECRET not in str(caught.value)
    assert None is caught.value.__cause__


def test_a_stored_payload_that_does_not_fit_any_more_names_the_field() -> None:
    """What an older release stored is told like a wrong request, without its value."""
    with pytest.raises(PayloadError, match=r"payload of SEND: lead_id: ") as caught:
        JobType(name="SEND", payload=Mapped).read(json.dumps({"lead_id": SECRET, "tags": []}))
    assert SECRET not in str(caught.value)


def test_a_type_that_breaks_while_it_reads_is_a_payload_error_too() -> None:
    """A validator of the user's that raises what pydantic does not expect must not pass for an error of ours."""

    class Broken(BaseModel):
        n: int

        @model_validator(mode="after")
        def check(self) -> "Broken":
            raise KeyError(SECRET)

    with pytest.raises(PayloadError, match=r"payload of SEND cannot be read: KeyError$"):
        JobType(name="SEND", payload=Broken).read('{"n": 1}')


def test_what_is_stored_is_plain_json() -> None:
    """The payload of the request can be written by any JSON library."""
    payload = JobType(name="SEND", payload=StrictModel).job(StrictModel(**EVERYTHING)).payload
    assert payload == json.loads(json.dumps(payload))
    assert ("leadId", False) == (next(iter(payload)), "isEarly" in payload)


def test_a_job_of_a_type_has_the_type_s_lane_unless_it_says_otherwise() -> None:
    """Backfill types wait in the backfill lane, and one job of them may be urgent."""
    kind = JobType(name="SEND", payload=Mapped, lane=Lane.BACKFILL)
    payload = Mapped(lead_id=1, tags=[])
    assert (Lane.BACKFILL, Lane.LIVE) == (kind.job(payload).lane, kind.job(payload, lane=Lane.LIVE).lane)


@pytest.mark.parametrize(
    "wrong", [{"name": "no good"}, {"name": ""}, {"timeout": timedelta()}, {"timeout": timedelta(-1)}]
)
def test_a_declaration_that_cannot_work_is_refused(wrong: dict[str, Any]) -> None:
    """A type needs a name that fits and a timeout longer than nothing."""
    with pytest.raises(EnqueueError, match=r"type 'no good'|type ''|timeout of SEND"):
        JobType[Any](**{"name": "SEND", "payload": dict, **wrong})
