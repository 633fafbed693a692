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

from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.routing import Route

from leadjobs.channels.clay import ClayCallback
from leadjobs.channels.emailbison import EmailBison
from leadjobs.channels.gohighlevel import GoHighLevel
from leadjobs.channels.instantly import Instantly
from leadjobs.channels.postmark import Postmark
from leadjobs.channels.sendgrid import SendGrid
from leadjobs.channels.smartlead import SmartLead
from leadjobs.channels.standard_webhooks import StandardWebhooks
from leadjobs.channels.twilio import Twilio
from leadjobs.channels.unipile import Unipile
from leadjobs.errors import SettingsError
from leadjobs.leads.door import leads_door
from leadjobs.leads.inbound import Adapter, History
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
    from leadjobs.leads.directory import Directories
    from leadjobs.leads.post_process.visit import Tools
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
        from leadjobs.handlers.instantly_inbound_post_process import instantly_inbound_post_process
        from leadjobs.handlers.lead_scoring_backfill import lead_scoring_backfill
        from leadjobs.handlers.lead_scoring_post_process import lead_scoring_post_process
        from leadjobs.handlers.linkedin_inbound_post_process import linkedin_inbound_post_process
        from leadjobs.handlers.smartlead_inbound_post_process import smartlead_inbound_post_process
        from leadjobs.handlers.sms_inbound_post_process import sms_inbound_post_process
        from leadjobs.leads.post_process.pipeline import PostProcess
        from leadjobs.runner import Runner

        settings, tools = self.settings, self._tools()
        post_process, timeout = PostProcess(tools), timedelta(seconds=settings.post_process_job_seconds)
        handlers: list[Handler[Any]] = [
            email_inbound_post_process(post_process, timeout=timeout),
            sms_inbound_post_process(post_process, timeout=timeout),
            linkedin_inbound_post_process(post_process, timeout=timeout),
            smartlead_inbound_post_process(post_process, timeout=timeout),
            instantly_inbound_post_process(post_process, timeout=timeout),
        ]
        to_close = [tools.sessions.close]
        if tools.ai is not None:
            job_timeout = timedelta(seconds=settings.scoring_job_seconds)
            handlers.append(lead_scoring_post_process(tools.sessions, tools.ai, timeout=job_timeout))
            handlers.append(lead_scoring_backfill(tools.sessions, settings.ai_model, timeout=timeout))
            to_close.append(tools.ai.aclose)

        async def close_all() -> None:
            await asyncio.gather(*(close() for close in to_close))

        return Runner(
            settings.need_database_url(),
            Registry(*handlers),
            budget=settings.budget,
            concurrency=settings.concurrency,
            on_end=close_all,
        )

    def _tools(self) -> "Tools":
        """What the steps of post-processing work with, as far as it is configured."""
        from leadjobs.leads.ai.asking import AI
        from leadjobs.leads.post_process.clay import Clay
        from leadjobs.leads.post_process.visit import Tools
        from leadjobs.leads.sessions import Sessions

        settings = self.settings
        key = secret_text(settings.openai_api_key)
        ai = key and AI(
            api_key=key,
            model=settings.ai_model,
            base_url=settings.openai_base_url,
            timeout=settings.ai_call_seconds,
        )
        sessions = Sessions(settings.need_database_url(), connections=settings.handler_connections)
        clay_url = secret_text(settings.clay_url)
        clay = clay_url and Clay(url=clay_url, token=secret_text(settings.clay_token), max_rows=settings.clay_max_rows)
        return Tools(sessions, ai or None, clay or None, self._histories())

    def _histories(self) -> dict[str, History]:
        """The providers whose own memory of a conversation can be asked, by source."""
        from leadjobs.channels.histories.gohighlevel import gohighlevel_history
        from leadjobs.channels.histories.smartlead import smartlead_history
        from leadjobs.channels.histories.unipile import unipile_history

        settings, adapters = self.settings, {adapter.source: adapter for adapter in self.adapters}
        found: dict[str, History] = {}
        if (settings.unipile_api_key is None) != (settings.unipile_api_url is None):
            raise SettingsError("set LEADJOBS_UNIPILE_API_KEY and LEADJOBS_UNIPILE_API_URL together, or neither")
        if (key := secret_text(settings.unipile_api_key)) is not None and settings.unipile_api_url is not None:
            found["unipile"] = unipile_history(adapters["unipile"], api_key=key, url=settings.unipile_api_url)
        if (key := secret_text(settings.smartlead_api_key)) is not None:
            found["smartlead"] = smartlead_history(adapters["smartlead"], api_key=key)
        if (key := secret_text(settings.gohighlevel_api_key)) is not None:
            found["gohighlevel"] = gohighlevel_history(adapters["gohighlevel"], api_key=key)
        return found

    @cached_property
    def inbox(self) -> Inbox:
        """The inbox of all channels."""
        settings = self.settings
        return Inbox(
            Transactions(settings.need_database_url(), at_once=settings.webhook_connections),
            self.adapters,
        )

    @cached_property
    def adapters(self) -> tuple[Adapter, ...]:
        """The adapters of all sources."""
        settings = self.settings
        public_keys = Secrets.parse(settings.gohighlevel_public_key).accepted
        return (
            Twilio(_secrets(settings.twilio_secret)),
            GoHighLevel(_secrets(settings.gohighlevel_secret), public_keys),
            Unipile(_secrets(settings.unipile_secret)),
            SmartLead(_secrets(settings.smartlead_secret)),
            Instantly(_secrets(settings.instantly_secret)),
            EmailBison(_secrets(settings.emailbison_secret)),
            Postmark(_secrets(settings.postmark_secret)),
            SendGrid(_secrets(settings.sendgrid_secret)),
            StandardWebhooks(_secrets(settings.standard_webhooks_secret)),
            ClayCallback(_secrets(settings.clay_secret)),
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
    def leads(self) -> Starlette:
        """The leads door."""
        return leads_door(lambda: self.directories)

    @cached_property
    def directories(self) -> "Directories":
        """What the leads door reads from."""
        from leadjobs.leads.directory import Directories
        from leadjobs.leads.sessions import Sessions

        settings = self.settings
        return Directories(Sessions(settings.need_database_url(), connections=settings.handler_connections))

    @cached_property
    def doors(self) -> Starlette:
        """All doors in one ASGI app, at the paths they have when each is a function of its own."""
        doors = {
            "/api/cron": self.cron,
            "/api/webhooks": self.webhooks,
            "/api/health": self.health,
            "/api/leads": self.leads,
        }
        routes = [Route(path + rest, door) for path, door in doors.items() for rest in ("", "/{rest:path}")]
        return Starlette(routes=routes)


def _secrets(setting: SecretStr | None) -> Secrets:
    return Secrets.parse(secret_text(setting))


app = App()
