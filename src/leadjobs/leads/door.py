"""The leads door: a workspace's leads, over HTTP, to those who bring one of its tokens."""

import asyncio
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from starlette.applications import Starlette
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from leadjobs.errors import BadSignatureError, LeadjobsError
from leadjobs.leads.views import BadParameterError, LeadDetail, LeadNotFoundError, LeadPage, Place, ScoreFilter
from leadjobs.web.errors import error_answer
from leadjobs.web.signatures import bearer_token

if TYPE_CHECKING:
    from leadjobs.leads.directory import Directories, Directory

PATIENCE: Final = 8.0  # seconds for all of one answer; each statement has its own, shorter time
PAGE, MAX_PAGE = 50, 200  # leads
_PATH: Final = re.compile(r".*?/leads(?:/(?P<id>.*))?")
_ID: Final = re.compile(r"[1-9][0-9]{0,18}")
_NO_STORE: Final = {"Cache-Control": "no-store"}


def leads_door(directories: "Callable[[], Directories]") -> Starlette:
    """An ASGI app: ``…/leads`` answers a list, ``…/leads/{id}`` everything about one lead, to GET and HEAD.

    The caller brings ``Authorization: Bearer`` with an API token, and sees the leads of the token's workspace: another
    workspace's lead is as unknown as one that never was.
    """

    async def get(request: Request) -> Response:
        try:
            async with (
                asyncio.timeout(PATIENCE),
                directories().open(bearer_token(request.headers) or "") as directory,
            ):
                shown = await _look(directory, request)
        except (LeadjobsError, TimeoutError) as error:
            return _refusal(error)
        return Response(shown.model_dump_json(by_alias=True), headers=_NO_STORE, media_type="application/json")

    return Starlette(routes=[Route("/{path:path}", get, methods=["GET"])])


async def _look(directory: "Directory", request: Request) -> LeadPage | LeadDetail:
    where, query = _PATH.fullmatch(request.scope["path"].rstrip("/")), request.query_params
    if where is not None and where["id"] is None:
        _expect(query, "score", "limit", "cursor")
        return await directory.page(_score(query), limit=_limit(query), after=_place(query))
    if where is None or not _ID.fullmatch(where["id"]):
        raise LeadNotFoundError("there is no lead with this id")
    _expect(query)
    return await directory.lead(int(where["id"]))


def _expect(query: QueryParams, *names: str) -> None:
    given = [name for name, _ in query.multi_items()]
    if len(given) != len(set(given)) or not set(given) <= set(names):
        known = f"{', '.join(names)}, each once" if names else "no parameters"
        raise BadParameterError(f"this address takes {known}")


def _score(query: QueryParams) -> ScoreFilter | None:
    if (text := query.get("score")) is None:
        return None
    try:
        return ScoreFilter(text.replace(" ", "+"))  # what a plus sign in an address means
    except ValueError:
        raise BadParameterError(f"score is one of {', '.join(ScoreFilter)}") from None


def _limit(query: QueryParams) -> int:
    text = query.get("limit", str(PAGE))
    if not re.fullmatch(r"[1-9][0-9]{0,2}", text) or int(text) > MAX_PAGE:
        raise BadParameterError(f"limit is a whole number from 1 to {MAX_PAGE}")
    return int(text)


def _place(query: QueryParams) -> Place | None:
    if (cursor := query.get("cursor")) is None:
        return None
    try:
        return Place.parse(cursor)
    except ValueError:
        raise BadParameterError("cursor is the nextCursor of an answer, as it was") from None


def _refusal(error: Exception) -> Response:
    match error:
        case BadParameterError():
            return JSONResponse({"error": str(error), "code": error.code}, 400, _NO_STORE)
        case LeadNotFoundError():
            return JSONResponse({"error": str(error), "code": error.code}, 404, _NO_STORE)
        case BadSignatureError():
            answer = error_answer(error)
            answer.headers["WWW-Authenticate"] = "Bearer"
            return answer
        case _:
            return error_answer(error)
