"""A webhook delivery and its answer, as plain values: no framework, no provider."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One HTTP request of a provider, untouched.

    ``url`` is the address the provider called (scheme, host, path, query); ``headers`` have lower-case names.
    """

    source: str
    url: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """What a provider is told: ``what`` for the log and the JSON body, or a body that the provider insists on."""

    status: int
    what: str
    body: bytes | None = None
    media_type: str = "application/json"
