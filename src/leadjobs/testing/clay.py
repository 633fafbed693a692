"""Clay on this machine: a table's webhook source, which takes rows.  What the real one says beside 200 is not known."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

Json = dict[str, Any]
"""A JSON object at the edge."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An HTTP error instead of a row."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Silence:
    """A row that is taken, and not answered until the client hangs up."""


class ClayStandIn:
    """An ASGI app that takes ``POST /v3/sources/webhook/{id}`` with the right token; None takes no token.

    Tests read ``rows``, the rows that were taken; ``has_taken`` is set with the first.
    """

    def __init__(self, *, token: str | None = "clay-token") -> None:  # noqa: S107
        self.token = token
        self.rows: list[Json] = []
        self.has_taken = threading.Event()
        self._script: list[Refusal | Silence] = []
        self._app = Starlette(routes=[Route("/v3/sources/webhook/{id}", self._take, methods=["POST"])])

    def then(self, *behaviours: Refusal | Silence) -> None:
        """Have the next rows with the right token treated so, one each; after them all is well again."""
        self._script.extend(behaviours)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Speak ASGI."""
        await self._app(scope, receive, send)

    async def _take(self, request: Request) -> Response:
        if request.headers.get("x-clay-webhook-auth") != self.token:
            return PlainTextResponse("Unauthorized", status_code=401)
        row: Json = await request.json()
        behaviour = self._script.pop(0) if self._script else None
        if isinstance(behaviour, Refusal):
            return PlainTextResponse("No.", status_code=behaviour.status, headers=dict(behaviour.headers))
        self.rows.append(row)
        self.has_taken.set()
        if isinstance(behaviour, Silence):
            while (await request.receive())["type"] != "http.disconnect":
                pass
        return PlainTextResponse("OK")
