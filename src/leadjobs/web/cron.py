"""The cron door: one authenticated call, one drain of the queue within the platform's time limit, counters out."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import psycopg
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from leadjobs.errors import BadSignatureError, LeadjobsError
from leadjobs.web.errors import error_answer
from leadjobs.web.signatures import Secrets, bearer_token

if TYPE_CHECKING:
    from leadjobs.runner import Runner

ANSWER_TIME = timedelta(seconds=1)  # kept off the platform's deadline for sending the answer


def cron_door(runner: "Callable[[], Runner]", secrets: Callable[[], Secrets]) -> Starlette:
    """An ASGI app that answers GET and POST with one invocation of the runner.

    The caller brings ``Authorization: Bearer`` with the current or the previous secret; with no secret configured the
    door is shut.  Overlapping, doubled, late and missed calls are all safe.  200 with the report; 503 with it where the
    database went away or a run could not be settled, so that uptime checks see it.
    """

    async def tick(request: Request) -> Response:
        try:
            if not secrets().matches(bearer_token(request.headers) or ""):
                raise BadSignatureError("wrong, missing or unset CRON_SECRET")
            drain = runner()
            report = await drain.run(_platform_budget(drain.budget))
        except (LeadjobsError, psycopg.Error, TimeoutError) as error:
            return error_answer(error)
        status = 200 if report.is_healthy else 503
        return JSONResponse(report.as_json(), status, {"Cache-Control": "no-store"})

    return Starlette(routes=[Route("/{path:path}", tick, methods=["GET", "POST"])])


def _platform_budget(configured: timedelta) -> timedelta:
    """The configured budget, or what the platform leaves of this invocation where that is less."""
    try:
        from vercel_runtime import get_deadline
    except ImportError:
        return configured
    deadline: datetime | None = get_deadline()
    if deadline is None:
        return configured
    left = deadline - datetime.now(UTC) - ANSWER_TIME
    return min(configured, left) if left > timedelta() else configured
