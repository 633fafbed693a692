"""The lead half's tables.  snake_case here and in SQL; JSON has the mission's camelCase names (see views.py)."""

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from leadjobs.store.tables import Base, Instant, Key


def _id() -> Mapped[int]:
    return mapped_column(BigInteger, Identity(), primary_key=True)


def _now() -> Mapped[datetime]:
    return mapped_column(Instant, server_default=text("now()"))


def _score() -> Mapped[int | None]:
    return mapped_column(Integer)


class Workspace(Base):
    """A tenant: a customer whose leads reply."""

    __tablename__ = "workspace"

    id: Mapped[int] = _id()
    name: Mapped[str] = mapped_column(Text, unique=True)
    created_at: Mapped[datetime] = _now()


class WorkspaceSettings(Base):
    """What scoring knows of a workspace."""

    __tablename__ = "workspace_settings"

    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspace.id", ondelete="CASCADE"), primary_key=True)
    ideal_customer_profile: Mapped[str | None] = mapped_column(Text)
    service_description: Mapped[str | None] = mapped_column(Text)
    qualification_questions: Mapped[list[str]] = mapped_column(JSONB, server_default=text("'[]'::jsonb"))
    has_drafts: Mapped[bool] = mapped_column(Boolean, server_default=text("true"))


class WorkspaceSource(Base):
    """Which workspace a provider's account, number or address belongs to."""

    __tablename__ = "workspace_source"

    source: Mapped[str] = mapped_column(Key, primary_key=True)
    tenant_key: Mapped[str] = mapped_column(Key, primary_key=True)
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspace.id", ondelete="CASCADE"), index=True)


class Lead(Base):
    """A person who may become a customer.

    ``opted_out_at`` disqualifies whatever else is known, ``bounced_at`` until they write again.  ``last_inbound_at`` is
    the time of their newest words that are kept.  The scores are those of the newest picture: ``scored_through_id`` is
    the newest message that the scorer had seen, ``scored_at`` when it looked, and a score that had seen less, or looked
    earlier at the same messages, never replaces it.
    """

    __tablename__ = "lead"

    id: Mapped[int] = _id()
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspace.id", ondelete="CASCADE"))
    first_name: Mapped[str | None] = mapped_column(Text)
    last_name: Mapped[str | None] = mapped_column(Text)
    job_title: Mapped[str | None] = mapped_column(Text)
    company: Mapped[str | None] = mapped_column(Text)
    industry: Mapped[str | None] = mapped_column(Text)
    headcount: Mapped[str | None] = mapped_column(Text)
    sentiment_tag: Mapped[str | None] = mapped_column(Text)
    opted_out_at: Mapped[datetime | None] = mapped_column(Instant)
    opted_out_why: Mapped[str | None] = mapped_column(Text)
    bounced_at: Mapped[datetime | None] = mapped_column(Instant)
    fit_score: Mapped[int | None] = _score()
    intent_score: Mapped[int | None] = _score()
    overall_score: Mapped[int | None] = _score()
    score_reasoning: Mapped[str | None] = mapped_column(Text)
    scored_at: Mapped[datetime | None] = mapped_column(Instant)
    scored_through_id: Mapped[int | None] = mapped_column(BigInteger)
    last_inbound_at: Mapped[datetime | None] = mapped_column(Instant)
    last_outbound_at: Mapped[datetime | None] = mapped_column(Instant)
    created_at: Mapped[datetime] = _now()

    __table_args__ = (
        Index("lead_by_score", "workspace_id", "overall_score", "id"),
        Index("lead_by_activity", "workspace_id", text("coalesce(last_inbound_at, created_at) DESC"), text("id DESC")),
        CheckConstraint(
            "fit_score BETWEEN 1 AND 4 AND intent_score BETWEEN 1 AND 4 AND overall_score BETWEEN 1 AND 4",
            name="lead_scores_in_range",
        ),
    )


class LeadIdentity(Base):
    """A name of a lead.  The primary key makes find-or-create free of races."""

    __tablename__ = "lead_identity"

    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspace.id", ondelete="CASCADE"), primary_key=True)
    kind: Mapped[str] = mapped_column(Key, primary_key=True)
    value: Mapped[str] = mapped_column(Key, primary_key=True)
    lead_id: Mapped[int] = mapped_column(ForeignKey("lead.id", ondelete="CASCADE"), index=True)


class Message(Base):
    """One thing said, by the lead or to it.  ``sent_at`` is the provider's time, never later than ours.

    ``consent`` is what the provider itself said with it, or a text message's own START; news without words (an
    unsubscribe, a bounce) has an empty ``body``.
    """

    __tablename__ = "message"

    id: Mapped[int] = _id()
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspace.id", ondelete="CASCADE"))
    lead_id: Mapped[int] = mapped_column(ForeignKey("lead.id", ondelete="CASCADE"))
    channel: Mapped[str] = mapped_column(Key)
    direction: Mapped[str] = mapped_column(Key)
    source: Mapped[str] = mapped_column(Key)
    message_key: Mapped[str] = mapped_column(Key)
    subject: Mapped[str | None] = mapped_column(Text)
    body: Mapped[str] = mapped_column(Text)
    sender: Mapped[str] = mapped_column(Text)
    recipient: Mapped[str] = mapped_column(Text)
    consent: Mapped[str | None] = mapped_column(Key)
    sentiment: Mapped[str | None] = mapped_column(Key)
    sent_at: Mapped[datetime] = mapped_column(Instant)
    created_at: Mapped[datetime] = _now()

    __table_args__ = (
        UniqueConstraint("workspace_id", "source", "message_key", name="message_once"),
        Index("message_by_lead", "lead_id", "sent_at", "id"),
        CheckConstraint("direction IN ('inbound', 'outbound')", name="message_direction"),
    )


class InboxEvent(Base):
    """A genuine webhook delivery as it came, and what was made of it; secrets in headers are left out.

    ``tenant_keys`` are the provider's words for the workspace, best first, also where no workspace has them yet.
    """

    __tablename__ = "inbox_event"

    id: Mapped[int] = _id()
    source: Mapped[str] = mapped_column(Key)
    tenant_keys: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'::text[]"))
    delivery_key: Mapped[str] = mapped_column(Key)
    workspace_id: Mapped[int | None] = mapped_column(ForeignKey("workspace.id", ondelete="CASCADE"))
    message_id: Mapped[int | None] = mapped_column(ForeignKey("message.id", ondelete="SET NULL"), index=True)
    what: Mapped[str] = mapped_column(Text)
    url: Mapped[str] = mapped_column(Text)
    content_type: Mapped[str | None] = mapped_column(Text)
    body: Mapped[bytes] = mapped_column(LargeBinary)
    received_at: Mapped[datetime] = _now()

    __table_args__ = (
        UniqueConstraint("source", "delivery_key", name="inbox_event_once"),
        Index("inbox_event_of_nobody", "id", postgresql_where=text("workspace_id IS NULL")),
    )


class LeadFact(Base):
    """Something learned about a lead: a number, an address, a page; from its own words or from an outside service.

    A fact is no identity: deliveries are never matched to a lead by what somebody merely wrote.
    """

    __tablename__ = "lead_fact"

    id: Mapped[int] = _id()
    lead_id: Mapped[int] = mapped_column(ForeignKey("lead.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(Key)
    value: Mapped[str] = mapped_column(Text)
    origin: Mapped[str] = mapped_column(Key)
    message_id: Mapped[int | None] = mapped_column(ForeignKey("message.id", ondelete="SET NULL"), index=True)
    noted_at: Mapped[datetime] = _now()

    __table_args__ = (UniqueConstraint("lead_id", "kind", "value", name="lead_fact_once"),)


class ReplyDraft(Base):
    """A proposed answer to one inbound message: stored for a person to use, never sent."""

    __tablename__ = "reply_draft"

    id: Mapped[int] = _id()
    lead_id: Mapped[int] = mapped_column(ForeignKey("lead.id", ondelete="CASCADE"), index=True)
    message_id: Mapped[int] = mapped_column(ForeignKey("message.id", ondelete="CASCADE"), unique=True)
    body: Mapped[str] = mapped_column(Text)
    model: Mapped[str] = mapped_column(Text)
    prompt_version: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = _now()


class Enrichment(Base):
    """One request to an outside service for facts about a lead, from before it is made; once for a lead and a kind."""

    __tablename__ = "enrichment"

    id: Mapped[int] = _id()
    request_id: Mapped[str] = mapped_column(Key, unique=True)
    lead_id: Mapped[int] = mapped_column(ForeignKey("lead.id", ondelete="CASCADE"))
    message_id: Mapped[int | None] = mapped_column(ForeignKey("message.id", ondelete="SET NULL"), index=True)
    kind: Mapped[str] = mapped_column(Key)
    status: Mapped[str] = mapped_column(Key)
    error: Mapped[str | None] = mapped_column(Text)
    asked_at: Mapped[datetime] = _now()
    answered_at: Mapped[datetime | None] = mapped_column(Instant)

    __table_args__ = (
        UniqueConstraint("lead_id", "kind", name="enrichment_once"),
        CheckConstraint("status IN ('asked', 'sent', 'found', 'not_found', 'failed')", name="enrichment_status"),
    )


class ClayTable(Base):
    """How many rows one Clay webhook source has taken: it takes 50,000 in its life, and deleting gives none back."""

    __tablename__ = "clay_table"

    url_hash: Mapped[str] = mapped_column(Key, primary_key=True)
    submitted: Mapped[int] = mapped_column(Integer, server_default=text("0"))


class ScoringBackfill(Base):
    """Scoring many leads again, page by page in the low lane: where it stands, and what it may cost."""

    __tablename__ = "scoring_backfill"

    id: Mapped[int] = _id()
    workspace_id: Mapped[int | None] = mapped_column(ForeignKey("workspace.id", ondelete="CASCADE"))
    is_rescore: Mapped[bool] = mapped_column(Boolean)
    leads_per_minute: Mapped[int] = mapped_column(Integer)
    max_usd_micros: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[str] = mapped_column(Key)
    reason: Mapped[str | None] = mapped_column(Text)
    after_lead_id: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    through_lead_id: Mapped[int] = mapped_column(BigInteger)
    enqueued: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    created_by: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = _now()
    finished_at: Mapped[datetime | None] = mapped_column(Instant)

    __table_args__ = (
        CheckConstraint("state IN ('running', 'paused', 'finished', 'cancelled')", name="scoring_backfill_state"),
    )


class ApiToken(Base):
    """Who may read leads over HTTP: a token (only its hash is kept) for one workspace, with a role."""

    __tablename__ = "api_token"

    id: Mapped[int] = _id()
    name: Mapped[str] = mapped_column(Text)
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspace.id", ondelete="CASCADE"), index=True)
    role: Mapped[str] = mapped_column(Key)
    token_hash: Mapped[str] = mapped_column(Key, unique=True)
    created_at: Mapped[datetime] = _now()
    revoked_at: Mapped[datetime | None] = mapped_column(Instant)

    __table_args__ = (CheckConstraint("role IN ('reader', 'operator')", name="api_token_role"),)


class LeadScore(Base):
    """One scoring of a lead: the history behind the lead's current scores."""

    __tablename__ = "lead_score"

    id: Mapped[int] = _id()
    lead_id: Mapped[int] = mapped_column(ForeignKey("lead.id", ondelete="CASCADE"))
    message_id: Mapped[int] = mapped_column(BigInteger)
    through_message_id: Mapped[int] = mapped_column(BigInteger)
    job_id: Mapped[int] = mapped_column(BigInteger)
    job_attempt: Mapped[int] = mapped_column(Integer)
    fit_score: Mapped[int] = mapped_column(Integer)
    intent_score: Mapped[int] = mapped_column(Integer)
    overall_score: Mapped[int] = mapped_column(Integer)
    score_reasoning: Mapped[str] = mapped_column(Text)
    is_applied: Mapped[bool] = mapped_column(Boolean)
    model: Mapped[str | None] = mapped_column(Text)
    prompt_version: Mapped[str | None] = mapped_column(Text)
    total_tokens: Mapped[int | None] = mapped_column(Integer)
    cost_usd_micros: Mapped[int | None] = mapped_column(BigInteger)
    scored_at: Mapped[datetime] = _now()

    __table_args__ = (Index("lead_score_by_lead", "lead_id", "id"),)


class AIInteraction(Base):
    """One physical call of a model, from before it is made: a row that stays 'asked' may have been billed."""

    __tablename__ = "ai_interaction"

    id: Mapped[int] = _id()
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspace.id", ondelete="CASCADE"))
    lead_id: Mapped[int | None] = mapped_column(BigInteger, index=True)
    job_id: Mapped[int | None] = mapped_column(BigInteger, index=True)
    job_attempt: Mapped[int | None] = mapped_column(Integer)
    source: Mapped[str] = mapped_column(Text)
    feature: Mapped[str] = mapped_column(Text)
    prompt_version: Mapped[str] = mapped_column(Text)
    api: Mapped[str] = mapped_column(Text)
    model: Mapped[str] = mapped_column(Text)
    call_no: Mapped[int] = mapped_column(Integer)
    max_output_tokens: Mapped[int] = mapped_column(Integer)
    status: Mapped[str] = mapped_column(Key)
    input_tokens: Mapped[int | None] = mapped_column(Integer)
    cached_tokens: Mapped[int | None] = mapped_column(Integer)
    cache_write_tokens: Mapped[int | None] = mapped_column(Integer)
    output_tokens: Mapped[int | None] = mapped_column(Integer)
    reasoning_tokens: Mapped[int | None] = mapped_column(Integer)
    cost_usd_micros: Mapped[int | None] = mapped_column(BigInteger)
    price_version: Mapped[str] = mapped_column(Text)
    latency_ms: Mapped[int | None] = mapped_column(Integer)
    model_answered: Mapped[str | None] = mapped_column(Text)
    response_id: Mapped[str | None] = mapped_column(Text)
    request_id: Mapped[str | None] = mapped_column(Text)
    service_tier: Mapped[str | None] = mapped_column(Text)
    error: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = _now()

    __table_args__ = (
        CheckConstraint("status IN ('asked', 'succeeded', 'failed')", name="ai_interaction_status"),
        Index("ai_interaction_by_workspace", "workspace_id", "created_at"),
    )
