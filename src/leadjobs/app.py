"""The composition root: reads settings, wires everything; the only file that knows all.

The doors are light and are made at import; what stands behind them is made at the first request, once per process, so
that a missing setting is an answer that says so and not a function that cannot start.
"""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.routing import Route

from leadjobs.channels.emailbison import EmailBison
from leadjobs.channels.postmark import Postmark
from leadjobs.channels.twilio import Twilio
from leadjobs.leads.inbox import Inbox
from leadjobs.ops.health import HealthCheck, health_door
from leadjobs.settings import Settings, read_settings, secret_text
from leadjobs.store.connection import Transactions
from leadjobs.store.schema import ENGINE
from leadjobs.web.cron import cron_door
from leadjobs.web.delivery import Answer, Delivery
from leadjobs.web.signatures import Secrets
from leadjobs.web.webhooks import webhooks_door

if TYPE_CHECKING:
    from leadjobs.core.registry import Handler
    from leadjobs.runner import Runner

LEADS = Path(__file__).parent / "leads" / "migrations" / "versions"
MIGRATIONS = (ENGINE, LEADS)


class App:
    """Everything wired: the runner of all handlers, and the doors."""

    def __init__(self, read: Callable[[], Settings] = read_settings) -> None:
        self._read = read

    @cached_property
    def settings(self) -> Settings:
        """The process's settings, read once."""
        return self._read()

    @cached_property
    def runner(self) -> "Runner":
        """The runner of all handlers.  Without an OpenAI key scoring jobs are left to wait, and reported as unknown.

        Raises:
            SettingsError: a setting is missing, or a timeout fits no invocation.
        """
        from leadjobs.core.registry import Registry
        from leadjobs.handlers.email_inbound_post_process import email_inbound_post_process
        from leadjobs.handlers.lead_scoring_post_process import lead_scoring_post_process
        from leadjobs.handlers.sms_inbound_post_process import sms_inbound_post_process
        from leadjobs.leads.scorer import Scorer
        from leadjobs.leads.sessions import Sessions
        from leadjobs.runner import Runner

        settings = self.settings
        sessions = Sessions(settings.need_database_url(), connections=settings.handler_connections)
        handlers: list[Handler[Any]] = [sms_inbound_post_process(sessions), email_inbound_post_process(sessions)]
        to_close = [sessions.close]
        if (key := secret_text(settings.openai_api_key)) is not None:
            scorer = Scorer(
                api_key=key,
                model=settings.scoring_model,
                base_url=settings.openai_base_url,
                timeout=settings.scoring_call_seconds,
            )
            job_timeout = timedelta(seconds=settings.scoring_job_seconds)
            handlers.append(lead_scoring_post_process(sessions, scorer, timeout=job_timeout))
            to_close.append(scorer.aclose)

        async def close_all() -> None:
            await asyncio.gather(*(close() for close in to_close))

        return Runner(
            settings.need_database_url(),
            Registry(*handlers),
            budget=settings.budget,
            concurrency=settings.concurrency,
            on_end=close_all,
        )

    @cached_property
    def inbox(self) -> Inbox:
        """The inbox of all channels."""
        settings = self.settings
        return Inbox(
            Transactions(settings.need_database_url(), at_once=settings.webhook_connections),
            [
                Twilio(Secrets.parse(secret_text(settings.twilio_secret))),
                EmailBison(Secrets.parse(secret_text(settings.emailbison_secret))),
                Postmark(Secrets.parse(secret_text(settings.postmark_secret))),
            ],
        )

    @cached_property
    def cron(self) -> Starlette:
        """The cron door."""

        def secrets() -> Secrets:
            known = (secret_text(self.settings.cron_secret), secret_text(self.settings.cron_secret_previous))
            return Secrets(tuple(secret for secret in known if secret is not None))

        return cron_door(lambda: self.runner, secrets)

    @cached_property
    def webhooks(self) -> Starlette:
        """The webhooks door."""

        async def receive(delivery: Delivery) -> Answer:  # the inbox is made at the first request, not with the door
            return await self.inbox.receive(delivery)

        return webhooks_door(receive, public_url=lambda: self.settings.public_url)

    @cached_property
    def health(self) -> Starlette:
        """The health door."""
        return health_door(
            lambda: HealthCheck(self.settings.need_database_url(), tuple(self.runner.registry.type_names), MIGRATIONS)
        )

    @cached_property
    def doors(self) -> Starlette:
        """All doors in one ASGI app, at the paths they have when each is a function of its own."""
        doors = {"/api/cron": self.cron, "/api/webhooks": self.webhooks, "/api/health": self.health}
        routes = [Route(path + rest, door) for path, door in doors.items() for rest in ("", "/{rest:path}")]
        return Starlette(routes=routes)


app = App()
