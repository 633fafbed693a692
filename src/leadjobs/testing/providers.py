"""The APIs of Unipile, SmartLead and GoHighLevel on this machine, as far as they tell a conversation.

What they answer is put there by a test; here are their ways to take a key, and what can go wrong with any of them.
"""

import json
from dataclasses import dataclass
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from leadjobs.testing.clay import Refusal, Silence


@dataclass(frozen=True, slots=True)
class Body:
    """These bytes instead of the answer, with status 200."""

    content: bytes
    media_type: str = "application/json"


Behaviour = Refusal | Silence | Body
"""What the next request can be answered with."""


class ProvidersStandIn:
    """An ASGI app that answers ``GET`` of a path in ``answers`` with its JSON, to whoever has the key.

    Tests read ``asked``, the path of every request that had the key, and ``queries``, its parameters without the key.
    """

    def __init__(self, *, key: str = "provider-key") -> None:
        self.key = key
        self.answers: dict[str, Any] = {}
        self.asked: list[str] = []
        self.queries: list[dict[str, str]] = []
        self._script: list[Behaviour] = []
        self._app = Starlette(routes=[Route("/{path:path}", self._tell, methods=["GET"])])

    def then(self, *behaviours: Behaviour) -> None:
        """Have the next requests with the right key answered so, one each; after them all is well again."""
        self._script.extend(behaviours)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Speak ASGI."""
        await self._app(scope, receive, send)

    async def _tell(self, request: Request) -> Response:
        if not self._has_key(request):
            return JSONResponse({"message": f"wrong key {request.url}"}, status_code=401)
        # As it was sent: what is quoted in a path would be unquoted by now.
        path = request.scope["raw_path"].decode().partition("?")[0]
        self.asked.append(path)
        self.queries.append({name: value for name, value in request.query_params.items() if name != "api_key"})
        behaviour = self._script.pop(0) if self._script else None
        if isinstance(behaviour, Refusal):
            return PlainTextResponse("No.", status_code=behaviour.status, headers=dict(behaviour.headers))
        if isinstance(behaviour, Body):
            return Response(behaviour.content, media_type=behaviour.media_type)
        if isinstance(behaviour, Silence):
            while (await request.receive())["type"] != "http.disconnect":
                pass
        if path not in self.answers:
            return JSONResponse({"message": "not found"}, status_code=404)
        return Response(json.dumps(self.answers[path]), media_type="application/json")  # escaped: any text can be sent

    def _has_key(self, request: Request) -> bool:
        if request.url.path.startswith("/api/v1/chats/"):
            return request.headers.get("x-api-key") == self.key
        if request.url.path.startswith("/conversations/"):
            is_dated = request.headers.get("version") == "2021-04-15"
            return is_dated and request.headers.get("authorization") == f"Bearer {self.key}"
        return request.query_params.get("api_key") == self.key
