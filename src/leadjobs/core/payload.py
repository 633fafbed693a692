"""How the payloads of a job type are checked, written as JSON, and read again.

Pydantic does it, and is loaded when the first payload asks for it: to import it takes as long as to import the driver,
and a process that is started for one job should not wait for what that job does not need.
"""

import json
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from leadjobs.core.storable import encode
from leadjobs.errors import PayloadError

if TYPE_CHECKING:
    from pydantic import TypeAdapter, ValidationError

P = TypeVar("P")
_PLAIN = frozenset((str, int, bool, type(None)))  # what JSON has as it is; a float may be NaN


class Shape(Generic[P]):
    """The shape of the payloads of one job type: anything that pydantic can check."""

    def __init__(self, type_name: str, payload: type[P]) -> None:
        self._type_name, self._payload = type_name, payload

    @cached_property
    def _adapter(self) -> "TypeAdapter[P]":
        from pydantic import ConfigDict, TypeAdapter
        from pydantic.errors import PydanticUserError

        try:  # NaN must be refused, and would turn into null unseen
            return TypeAdapter(self._payload, config=ConfigDict(ser_json_inf_nan="constants"))
        except PydanticUserError:  # a model, a dataclass or a TypedDict has a configuration of its own
            return TypeAdapter(self._payload)

    def written(self, payload: P) -> Mapping[str, Any]:
        """The payload as a JSON object that can be read again.

        Raises:
            PayloadError: it does not fit; the message names the field, and not the value.
        """
        try:
            checked = self._adapter.validate_python(payload)
            as_json = self._adapter.dump_python(checked, mode="json", by_alias=True, round_trip=True, warnings=False)
            self._adapter.validate_json(encode(as_json))  # pydantic trusts instances; we do not
        except ValueError as error:  # pydantic's own error is one
            raise PayloadError(f"payload of {self._type_name}: {first_problem(error)}") from None
        if not isinstance(as_json, dict):
            raise PayloadError(f"payload of {self._type_name} is not an object: use a model, a dataclass or a dict")
        return as_json

    def read(self, stored: str) -> P:
        """The payload in a JSON text.

        Raises:
            PayloadError: it does not fit (any more).
        """
        try:
            return self._adapter.validate_json(stored)
        except ValueError as error:
            raise PayloadError(f"payload of {self._type_name}: {first_problem(error)}") from None
        except Exception as error:
            raise PayloadError(f"payload of {self._type_name} cannot be read: {type(error).__name__}") from error


class AnyObject(Shape[P]):
    """The shape of a plain ``dict``: what is JSON already needs no checking, and no pydantic."""

    def written(self, payload: P) -> Mapping[str, Any]:
        """A copy of the object; where a value is not JSON by itself (a time, say), as pydantic writes it."""
        if isinstance(payload, dict) and _PLAIN.issuperset(map(type, payload.values())) and _has_text_names(payload):
            return payload.copy()
        try:
            as_json = json.loads(encode(payload))
        except (TypeError, ValueError, RecursionError):
            return super().written(payload)
        return as_json if isinstance(as_json, dict) and isinstance(payload, dict) else super().written(payload)

    def read(self, stored: str) -> P:
        """The object in a JSON text."""
        try:
            found = json.loads(stored)
        except (ValueError, RecursionError) as error:  # JSON to the database: a number too long, or nested too deep
            raise PayloadError(f"payload of {self._type_name} cannot be read: {type(error).__name__}") from error
        return cast("P", found) if isinstance(found, dict) else super().read(stored)


def _has_text_names(payload: Mapping[Any, Any]) -> bool:
    return all(type(name) is str for name in payload)


def shape_of(type_name: str, payload: type[P]) -> Shape[P]:
    """The shape that a job type declares for its payloads."""
    return (AnyObject if payload is dict else Shape)(type_name, payload)


def first_problem(error: "ValidationError | ValueError") -> str:
    """Where and what, in a line, without the value (it may be personal data)."""
    from pydantic import ValidationError

    if not isinstance(error, ValidationError):
        return str(error)
    problem = error.errors(include_input=False, include_url=False)[0]
    where = ".".join(str(part) for part in problem["loc"])
    what = "its tag names no member of the union" if problem["type"] == "union_tag_invalid" else problem["msg"]
    return f"{where}: {what}" if where else what
