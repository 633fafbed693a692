"""The health door: is it up, and is it well?"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psycopg
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from leadjobs.errors import LeadjobsError
from leadjobs.store.connection import connect
from leadjobs.store.jobs import JobStore
from leadjobs.store.schema import missing_revisions

STALE = 300.0  # seconds that due work may wait, or that runners may be silent, before this is not healthy


class Health(BaseModel):
    """Whether work gets done; its JSON is camelCase.

    ``oldest_due_seconds`` is how long the oldest due job has waited; ``since_invocation_seconds`` tells a dead cron.
    """

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    status: str
    problems: tuple[str, ...] = ()
    due: int = 0
    oldest_due_seconds: float | None = None
    since_completion_seconds: float | None = None
    since_invocation_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """Looks at a database; ``migrations`` are the folders whose newest revisions it must have reached."""

    url: str
    types: tuple[str, ...]
    migrations: tuple[Path, ...]

    async def look(self) -> Health:
        """See whether the database answers, is migrated, and whether its due work moves."""
        try:
            async with connect(self.url) as connection:
                if missing := await missing_revisions(connection, self.migrations):
                    return Health(
                        status="unhealthy", problems=(f"run `leadjobs migrate`: {', '.join(missing)} missing",)
                    )
                store = JobStore(connection)
                backlog, pulse = await store.backlog(self.types), await store.pulse()
        except (psycopg.Error, LeadjobsError):
            return Health(status="unhealthy", problems=("the database does not answer",))
        problems = []
        oldest = backlog.oldest_due_seconds or 0.0
        if oldest > STALE and (pulse.since_completion is None or pulse.since_completion > STALE):
            problems.append(
                f"due work has waited {oldest:.0f} s and nothing has been completed for longer than {STALE:.0f} s"
            )
        if oldest > STALE and (pulse.since_invocation is None or pulse.since_invocation > STALE):
            problems.append("no runner has run lately: is the cron calling?")
        return Health(
            status="unhealthy" if problems else "ok",
            problems=tuple(problems),
            due=backlog.due,
            oldest_due_seconds=backlog.oldest_due_seconds,
            since_completion_seconds=pulse.since_completion,
            since_invocation_seconds=pulse.since_invocation,
        )


def health_door(check: Callable[[], HealthCheck]) -> Starlette:
    """An ASGI app: ``…/ready`` answers whether work gets done (503 if not), any other path that the process is up."""

    async def alive(request: Request) -> Response:
        if request.url.path.rstrip("/").endswith("/ready"):
            return await ready()
        return JSONResponse({"status": "ok"}, headers={"Cache-Control": "no-store"})

    async def ready() -> Response:
        try:
            health = await check().look()
        except LeadjobsError as error:
            health = Health(status="unhealthy", problems=(f"{error.code}: a setting is missing or wrong",))
        body = health.model_dump(by_alias=True, mode="json")
        return JSONResponse(body, 200 if health.status == "ok" else 503, {"Cache-Control": "no-store"})

    return Starlette(routes=[Route("/{path:path}", alive, methods=["GET"])])
