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
from sqlalchemy.dialects.postgresql import JSONB
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


class WorkspaceSource(Base):
    """Which workspace a provider's account, number or address belongs to."""

    __tablename__ = "workspace_source"

    source: Mapped[str] = mapped_column(Key, primary_key=True)
    tenant_key: Mapped[str] = mapped_column(Key, primary_key=True)
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspace.id", ondelete="CASCADE"), index=True)


class Lead(Base):
    """A person who may become a customer.

    ``opted_out_at`` disqualifies whatever else is known.  The scores are those of the newest picture:
    ``scored_through_id`` is the newest message that the scorer had seen, and a score that had seen less never replaces
    it.
    """

    __tablename__ = "lead"

    id: Mapped[int] = _id()
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspace.id", ondelete="CASCADE"))
    first_name: Mapped[str | None] = mapped_column(Text)
    last_name: Mapped[str | None] = mapped_column(Text)
    job_title: Mapped[str | None] = mapped_column(Text)
    company: Mapped[str | None] = mapped_column(Text)
    sentiment_tag: Mapped[str | None] = mapped_column(Text)
    opted_out_at: Mapped[datetime | None] = mapped_column(Instant)
    opted_out_why: Mapped[str | None] = mapped_column(Text)
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
    """One thing said, by the lead or to it.  ``sent_at`` is the provider's time, never later than ours."""

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
    sent_at: Mapped[datetime] = mapped_column(Instant)
    created_at: Mapped[datetime] = _now()

    __table_args__ = (
        UniqueConstraint("workspace_id", "source", "message_key", name="message_once"),
        Index("message_by_lead", "lead_id", "sent_at", "id"),
        CheckConstraint("direction IN ('inbound', 'outbound')", name="message_direction"),
    )


class InboxEvent(Base):
    """A genuine webhook delivery as it came, and what was made of it; secrets in headers are left out."""

    __tablename__ = "inbox_event"

    id: Mapped[int] = _id()
    source: Mapped[str] = mapped_column(Key)
    delivery_key: Mapped[str] = mapped_column(Key)
    workspace_id: Mapped[int | None] = mapped_column(ForeignKey("workspace.id", ondelete="CASCADE"))
    message_id: Mapped[int | None] = mapped_column(ForeignKey("message.id", ondelete="SET NULL"))
    what: Mapped[str] = mapped_column(Text)
    url: Mapped[str] = mapped_column(Text)
    content_type: Mapped[str | None] = mapped_column(Text)
    body: Mapped[bytes] = mapped_column(LargeBinary)
    received_at: Mapped[datetime] = _now()

    __table_args__ = (UniqueConstraint("source", "delivery_key", name="inbox_event_once"),)


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
