"""``leadjobs serve`` and ``leadjobs dev``: all doors in one process."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, Annotated

import psycopg
import typer

from leadjobs.cli.context import database
from leadjobs.cli.output import progress, say
from leadjobs.errors import LeadjobsError
from leadjobs.settings import read_settings
from leadjobs.telemetry.log import log_json_lines

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from leadjobs.app import App

Port = Annotated[int, typer.Option(min=1, max=65535)]
TICK = 60.0  # seconds

DEV_DEFAULTS = {
    "CRON_SECRET": "dev-cron",
    "LEADJOBS_TWILIO_SECRET": "dev-twilio",
    "LEADJOBS_GOHIGHLEVEL_SECRET": "dev-gohighlevel",
    "LEADJOBS_UNIPILE_SECRET": "dev-unipile",
    "LEADJOBS_SMARTLEAD_SECRET": "dev-smartlead",
    "LEADJOBS_INSTANTLY_SECRET": "dev-instantly",
    "LEADJOBS_EMAILBISON_SECRET": "dev-emailbison",
    "LEADJOBS_POSTMARK_SECRET": "dev-postmark",
    "LEADJOBS_SENDGRID_SECRET": "dev-sendgrid",
    "LEADJOBS_BUDGET_SECONDS": "55",
}


def serve(host: str = "127.0.0.1", port: Port = 8000) -> None:
    """Serve all doors (webhooks, cron, health) in one process, for a container; call the cron door yourself."""
    import uvicorn

    from leadjobs.app import App

    log_json_lines()
    with database():
        uvicorn.run(App().doors, host=host, port=port, log_level="warning")


def dev(port: Port = 8000) -> None:
    """Keep everything running on localhost: database, doors and a real minute tick, with secrets for development."""
    import uvicorn

    from leadjobs.app import App

    with ExitStack() as stack:
        for name, value in DEV_DEFAULTS.items():
            os.environ.setdefault(name, value)
        is_own = read_settings().database_url is not None
        url = stack.enter_context(database())
        if is_own:
            say("DATABASE_URL is set: using that database as it is; nothing is migrated or added")
        else:
            _prepare(url)
        _stand_in_for_openai(stack)
        app = App()
        _explain(port)
        log_json_lines()
        config = uvicorn.Config(
            _ticking(app), host="127.0.0.1", port=port, log_level="warning", timeout_graceful_shutdown=5
        )
        uvicorn.Server(config).run()


def _prepare(url: str) -> None:
    """Migrate, and make a workspace that takes the example below."""
    from leadjobs.app import MIGRATIONS
    from leadjobs.leads.workspaces import Profile, Source, save_workspace
    from leadjobs.store.migrate import migrate

    if applied := migrate(url, *MIGRATIONS[1:]):
        say("migrated: " + ", ".join(applied))

    asyncio.run(save_workspace(url, "dev", Profile(), [Source.parse("emailbison=1")]))


def _stand_in_for_openai(stack: ExitStack) -> None:
    from leadjobs.demo.stand_in import KEY, has_openai_key, stand_in

    if has_openai_key():
        return
    from leadjobs.testing.serve import serve as serve_aside

    os.environ["OPENAI_BASE_URL"] = f"{stack.enter_context(serve_aside(stand_in()))}/v1"
    os.environ["OPENAI_API_KEY"] = KEY
    say("OPENAI_API_KEY is not set: a local STAND-IN (no AI) scores the leads")


def _ticking(app: "App") -> "Starlette":
    """All doors, and a tick at every full minute for as long as they are served."""
    from starlette.applications import Starlette

    async def tick() -> None:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        for minute in count():
            await asyncio.sleep(max(0.0, begun + minute * TICK - loop.time()))
            try:
                await app.runner.run(timedelta(seconds=TICK - 5))
            except (LeadjobsError, psycopg.Error) as error:
                say(f"this minute's tick failed, the next tries again: {error}")

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        ticking = asyncio.create_task(tick())
        yield
        app.runner.stop()
        ticking.cancel()

    doors = app.doors
    return Starlette(routes=doors.routes, lifespan=lifespan)


def _explain(port: int) -> None:
    progress.print(
        f"""
[bold]leadjobs dev[/] on http://127.0.0.1:{port}, a tick each minute; stop with Ctrl-C.  Send a reply:

  curl -X POST 'http://127.0.0.1:{port}/api/webhooks/emailbison?token=dev-emailbison' \\
    -H 'Content-Type: application/json' \\
    -d '{{"event": {{"type": "LEAD_REPLIED", "instance_url": "https://x.example", "workspace_id": 1}},
         "data": {{"reply": {{"id": 1, "from_email_address": "ada@x.example", "text_body": "Call me on Monday"}}}}}}'

  curl -X POST http://127.0.0.1:{port}/api/cron -H 'Authorization: Bearer dev-cron'     # do not wait for the minute
  leadjobs leads list                                                                   # what became of it
""",
        highlight=False,
        soft_wrap=True,
        emoji=False,
    )
