"""The channels: one file for each provider's webhooks, and here what they share in reading a body.

Each adapter describes the part of the provider's body that it needs as pydantic models built on ``Payload``; whatever
else the provider sends is left alone.  ``read_json`` and ``read_as`` turn every way a body can be wrong into a
``MalformedWebhookError`` that names the provider and the field, and never repeats a value: those are personal data.
"""

import hashlib
import json
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Annotated, Any, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    StringConstraints,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from leadjobs.errors import BadSignatureError, MalformedWebhookError
from leadjobs.web.delivery import Delivery
from leadjobs.web.signatures import Secrets, bearer_token, query_token


class Payload(BaseModel):
    """A part of a provider's body: unknown fields are fine."""

    model_config = ConfigDict(frozen=True, extra="ignore")


PayloadT = TypeVar("PayloadT", bound=Payload)


def clean(text: str) -> str:
    """The text without NUL characters and halves of surrogate pairs, neither of which PostgreSQL can keep."""
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def body_key(body: bytes) -> str:
    """A delivery key for bodies without any id: equal for equal bytes."""
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


def _clean_text(value: object) -> object:
    return clean(value) if isinstance(value, str) else value


def _id_text(value: object) -> object:
    # Providers change their minds about whether an id is a number; True is an int to Python, but no id.
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return str(value) if is_number else _clean_text(value)


Text = Annotated[str, BeforeValidator(_clean_text)]
"""Any text, cleaned."""

# The bounds keep keys within what a PostgreSQL index holds (2,704 bytes, four a character).
Id = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200), BeforeValidator(_id_text)]
"""An id that becomes part of a key: a string or a whole number, kept as text."""

Address = Annotated[str, StringConstraints(strip_whitespace=True, max_length=320), BeforeValidator(_clean_text)]
"""An e-mail address, or what stands in its place: RFC 5321 allows 64 + 1 + 255 characters."""


def _none_if_odd(value: object, read: ValidatorFunctionWrapHandler) -> object:
    try:
        return read(value)
    except ValidationError:
        return None


Lenient = WrapValidator(_none_if_odd)
"""Marks a field that is not worth losing a reply over: None where it is not what it should be."""

AnyId = Annotated[Id | None, Lenient]
AnyText = Annotated[Text | None, Lenient]
AnyAddress = Annotated[Address | None, Lenient]


def read_json(source: str, body: bytes) -> dict[str, Any]:
    """The JSON object that ``body`` is.

    Raises:
        MalformedWebhookError: it is not UTF-8, not JSON, or not an object.
    """
    try:
        value = json.loads(body.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise MalformedWebhookError(f"{source}: the body is not UTF-8") from error
    except (ValueError, RecursionError) as error:
        raise MalformedWebhookError(f"{source}: the body is not JSON") from error
    if not isinstance(value, dict):
        raise MalformedWebhookError(f"{source}: the body is not a JSON object")
    return value


def read_as(source: str, model: type[PayloadT], value: object) -> PayloadT:
    """``value`` as ``model``.

    Raises:
        MalformedWebhookError: a needed field is missing or is not what it should be; the message names the first.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=True)[0]
        problem = _problem(first["type"], first["msg"], first["input"])
        raise MalformedWebhookError(f"{source}: {_path(first['loc'])} {problem}") from None


def needs_token(source: str, secrets: Secrets, delivery: Delivery, *headers: str) -> None:
    """Return if the delivery carries one of the secrets: as ``?token=``, as a bearer token, or in one of ``headers``.

    Raises:
        BadSignatureError: it carries none of them, or no secret is set.
    """
    if not secrets:
        raise BadSignatureError(f"{source}: no secret is set")
    proofs = [query_token(delivery.url), bearer_token(delivery.headers)]
    proofs += [delivery.headers[name].strip() for name in headers if name in delivery.headers]
    if not any(secrets.matches(proof) for proof in proofs if proof):
        places = ", ".join(["the address", "Authorization", *headers])
        raise BadSignatureError(f"{source}: no token that is ours in any of these: {places}")


def or_none(text: str | None) -> str | None:
    """The text, trimmed; None where nothing is left."""
    return (text or "").strip() or None


def moment(value: object) -> datetime | None:
    """A provider's time in UTC: ISO 8601 with a zone, an e-mail's date, or seconds or milliseconds since 1970.

    None where it is nothing of that, names no zone, or lies outside the years 2000 to 2100: a time is not worth losing
    a reply over, and the time of arrival stands in for it.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = _moment(value)
    except (ValueError, TypeError, IndexError, OverflowError, OSError):
        return None
    return found if found is not None and _EARLIEST <= found < _LATEST else None


_EARLIEST, _LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
_MILLISECONDS = 1e11  # as seconds, that would be the year 5138


def _moment(value: float | str) -> datetime | None:
    text = value.strip() if isinstance(value, str) else ""
    if not isinstance(value, str) or text.replace(".", "", 1).isdecimal():
        seconds = float(value)
        return datetime.fromtimestamp(seconds / 1000 if seconds >= _MILLISECONDS else seconds, UTC)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = parsedate_to_datetime(text)
        # The standard library calls "-0000" naive; RFC 5322 calls it UTC of a place unknown.
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    return found.astimezone(UTC) if found.tzinfo else None


def _path(location: tuple[int | str, ...]) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in location).lstrip(".")


def _problem(kind: str, message: str, value: object) -> str:
    if kind == "missing":
        return "is missing"
    if value is None:
        return "is null"
    if kind == "string_too_short":
        return "is empty"
    return message.replace("Input ", "").replace("String ", "")
