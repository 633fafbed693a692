"""The webhooks door: read the body within its limit, hand it over untouched, answer fast."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import psycopg
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from leadjobs.errors import LeadjobsError, TooLargeError
from leadjobs.telemetry import DeliveryAnswered, tell
from leadjobs.web.delivery import Answer, Delivery
from leadjobs.web.errors import error_answer

MAX_BODY = 5 * 1024 * 1024
PATIENCE = 8.0  # seconds; the tightest provider hangs up after ten

Receive = Callable[[Delivery], Awaitable[Answer]]


def webhooks_door(
    receive: Receive, *, public_url: Callable[[], str | None] = lambda: None, max_body: int = MAX_BODY
) -> Starlette:
    """An ASGI app that answers ``POST …/{source}`` with what ``receive`` says.

    The source is the last segment of the path, so the app works under any prefix and behind rewrites.  ``public_url``
    is the scheme and host that providers call (signatures may cover it); where it is not set, the proxy's headers
    tell. A body over ``max_body`` bytes is answered 413 without being parsed.
    """

    async def post(request: Request) -> Response:
        begun, source = time.monotonic(), request.url.path.rstrip("/").rpartition("/")[2]
        try:
            async with asyncio.timeout(PATIENCE):
                delivery = Delivery(
                    source=source,
                    url=_called_url(request, public_url()),
                    headers={name.lower(): value for name, value in request.headers.items()},
                    body=await _body(request, max_body),
                )
                told = await receive(delivery)
            what, response = told.what, _response(told)
        except (LeadjobsError, psycopg.Error, TimeoutError) as error:
            what, response = type(error).__name__, error_answer(error)
        milliseconds = round((time.monotonic() - begun) * 1000, 1)
        tell(DeliveryAnswered(source=source[:50], status=response.status_code, what=what, milliseconds=milliseconds))
        return response

    async def answer(request: Request) -> Response:
        if request.method == "POST":
            return await post(request)
        return PlainTextResponse("This address takes webhooks: POST them.\n")

    return Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST"])])


def _response(answer: Answer) -> Response:
    if answer.body is not None:
        return Response(answer.body, answer.status, media_type=answer.media_type)
    return JSONResponse({"status": answer.what}, answer.status)


async def _body(request: Request, limit: int) -> bytes:
    """The raw body; reading stops where it grows over the limit, whatever its header claims."""
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise TooLargeError(f"the body is over {limit} bytes")
        parts.append(part)
    return b"".join(parts)


def _called_url(request: Request, public_url: str | None) -> str:
    """The URL as the provider called it."""
    path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    if public_url is not None:
        return public_url.rstrip("/") + path
    headers = request.headers
    scheme = headers.get("x-forwarded-proto", request.url.scheme).partition(",")[0].strip()
    host = headers.get("x-forwarded-host", headers.get("host", request.url.netloc)).partition(",")[0].strip()
    return f"{scheme}://{host}{path}"
