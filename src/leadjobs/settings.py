"""Settings, read from the environment once and checked at the edge.

Every text is trimmed: a secret with a stray newline is the commonest way to shut a door without knowing why.
"""

from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from leadjobs.errors import SettingsError


def _trimmed(value: Any) -> Any:
    """Without white space around it; empty means unset."""
    return (value.strip() or None) if isinstance(value, str) else value


Text = Annotated[str | None, BeforeValidator(_trimmed)]
Secret = Annotated[SecretStr | None, BeforeValidator(_trimmed)]


class Settings(BaseSettings):
    """What leadjobs reads from the environment.

    A webhook secret may be several, separated by commas: the current one and the previous, while senders change over.
    ``CRON_SECRET`` is taken whole, for a platform sends it whole; the previous one has a setting of its own.
    """

    model_config = SettingsConfigDict(extra="ignore", frozen=True, populate_by_name=True)

    database_url: Text = Field(None, alias="DATABASE_URL")
    migrate_url: Text = Field(None, alias="LEADJOBS_MIGRATE_URL")
    public_url: Text = Field(None, alias="LEADJOBS_PUBLIC_URL")
    cron_secret: Secret = Field(None, alias="CRON_SECRET")
    cron_secret_previous: Secret = Field(None, alias="CRON_SECRET_PREVIOUS")
    twilio_secret: Secret = Field(None, alias="LEADJOBS_TWILIO_SECRET")
    emailbison_secret: Secret = Field(None, alias="LEADJOBS_EMAILBISON_SECRET")
    gohighlevel_secret: Secret = Field(None, alias="LEADJOBS_GOHIGHLEVEL_SECRET")
    gohighlevel_public_key: Text = Field(None, alias="LEADJOBS_GOHIGHLEVEL_PUBLIC_KEY")
    unipile_secret: Secret = Field(None, alias="LEADJOBS_UNIPILE_SECRET")
    smartlead_secret: Secret = Field(None, alias="LEADJOBS_SMARTLEAD_SECRET")
    instantly_secret: Secret = Field(None, alias="LEADJOBS_INSTANTLY_SECRET")
    postmark_secret: Secret = Field(None, alias="LEADJOBS_POSTMARK_SECRET")
    sendgrid_secret: Secret = Field(None, alias="LEADJOBS_SENDGRID_SECRET")
    standard_webhooks_secret: Secret = Field(None, alias="LEADJOBS_STANDARD_WEBHOOKS_SECRET")
    unipile_api_key: Secret = Field(None, alias="LEADJOBS_UNIPILE_API_KEY")
    unipile_api_url: Text = Field(None, alias="LEADJOBS_UNIPILE_API_URL")
    smartlead_api_key: Secret = Field(None, alias="LEADJOBS_SMARTLEAD_API_KEY")
    gohighlevel_api_key: Secret = Field(None, alias="LEADJOBS_GOHIGHLEVEL_API_KEY")
    clay_url: Secret = Field(None, alias="LEADJOBS_CLAY_URL")
    clay_token: Secret = Field(None, alias="LEADJOBS_CLAY_TOKEN")
    clay_secret: Secret = Field(None, alias="LEADJOBS_CLAY_SECRET")
    clay_max_rows: int = Field(50_000, alias="LEADJOBS_CLAY_MAX_ROWS", ge=0)
    openai_api_key: Secret = Field(None, alias="OPENAI_API_KEY")
    openai_base_url: Text = Field(None, alias="OPENAI_BASE_URL")
    ai_model: str = Field("gpt-5-nano", alias="LEADJOBS_AI_MODEL")
    ai_call_seconds: float = Field(20.0, alias="LEADJOBS_AI_CALL_SECONDS", gt=2)
    scoring_job_seconds: float = Field(45.0, alias="LEADJOBS_SCORING_JOB_SECONDS", gt=2)
    post_process_job_seconds: float = Field(30.0, alias="LEADJOBS_POST_PROCESS_JOB_SECONDS", gt=2)
    budget_seconds: float = Field(240.0, alias="LEADJOBS_BUDGET_SECONDS", gt=0)
    concurrency: int = Field(32, alias="LEADJOBS_CONCURRENCY", ge=1, le=1000)
    handler_connections: int = Field(4, alias="LEADJOBS_HANDLER_CONNECTIONS", ge=1, le=100)
    webhook_connections: int = Field(4, alias="LEADJOBS_WEBHOOK_CONNECTIONS", ge=1, le=100)

    @field_validator("database_url", "migrate_url")
    @classmethod
    def _is_postgres(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("postgres://", "postgresql://")):
            raise ValueError("begin it with postgresql://")
        return value

    @property
    def budget(self) -> timedelta:
        """How long one invocation of the runner may take."""
        return timedelta(seconds=self.budget_seconds)

    def need_database_url(self) -> str:
        """The database's URL.

        Raises:
            SettingsError: it is not set.
        """
        if self.database_url is None:
            raise SettingsError(
                "DATABASE_URL is not set: give it the URL of your Postgres, postgresql://user:password@host/name"
            )
        return self.database_url


def read_settings(**given: Any) -> Settings:
    """The settings from the environment; what is ``given`` (by alias or field name) wins.

    Raises:
        SettingsError: one of them cannot be used; the message names it and never shows a secret's value.
    """
    try:
        return Settings(**given)
    except ValidationError as error:
        problems = error.errors(include_input=False, include_url=False)
        raise SettingsError(
            "; ".join(f"{p['loc'][0]}: {p['msg'].removeprefix('Value error, ')}" for p in problems)
        ) from None


def secret_text(secret: SecretStr | None) -> str | None:
    """The text of a secret setting, None where it is unset."""
    return None if secret is None else secret.get_secret_value()
