"""The engine's tables as mapped classes: for users' queries, and for Alembic.

The runner does not use these (it speaks plain SQL, see ``sql/``), so importing the engine does not load SQLAlchemy.
"""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    Computed,
    DateTime,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

Key = Text(collation="C")  # compared byte by byte: fast, and the same on every machine
Instant = DateTime(timezone=True)


class Base(DeclarativeBase):
    """All tables of leadjobs."""


class BackgroundJob(Base):
    """One job, from enqueue to the end of its retention.

    ``reason`` says why the job is in its state.  ``hold`` is the dedupe key while it is held; the database computes it,
    so no statement can forget to.  ``next_payload`` is what a running job runs with once more when it ends.
    """

    __tablename__ = "background_job"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    lane: Mapped[str] = mapped_column(Key, server_default="live")
    type: Mapped[str] = mapped_column(Key)
    tenant: Mapped[str] = mapped_column(Key, server_default="")
    state: Mapped[str] = mapped_column(Key, server_default="PENDING")
    reason: Mapped[str | None] = mapped_column(Text)
    payload: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'::jsonb"))
    next_payload: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    dedupe_key: Mapped[str | None] = mapped_column(Key)
    scope: Mapped[str] = mapped_column(Key, server_default="retained")
    hold: Mapped[str | None] = mapped_column(
        Key,
        Computed(
            "CASE WHEN scope = 'retained' OR state IN ('PENDING', 'RUNNING') THEN dedupe_key END",
            persisted=True,
        ),
    )
    generation: Mapped[int] = mapped_column(Integer, server_default="1")
    attempts: Mapped[int] = mapped_column(Integer, server_default="0")
    losses: Mapped[int] = mapped_column(Integer, server_default="0")
    run_at: Mapped[datetime] = mapped_column(Instant, server_default=text("now()"))
    lease_no: Mapped[int] = mapped_column(Integer, server_default="0")
    lease_until: Mapped[datetime | None] = mapped_column(Instant)
    created_at: Mapped[datetime] = mapped_column(Instant, server_default=text("now()"))
    started_at: Mapped[datetime | None] = mapped_column(Instant)
    finished_at: Mapped[datetime | None] = mapped_column(Instant)

    __table_args__ = (
        CheckConstraint(
            "state IN ('PENDING', 'RUNNING', 'SUCCEEDED', 'FAILED', 'CANCELLED')", name="background_job_state"
        ),
        CheckConstraint("lane IN ('live', 'retry', 'backfill', 'alone')", name="background_job_lane"),
        CheckConstraint("scope IN ('retained', 'live')", name="background_job_scope"),
        CheckConstraint("(state = 'RUNNING') = (lease_until IS NOT NULL)", name="background_job_leased_iff_running"),
        CheckConstraint("jsonb_typeof(payload) = 'object'", name="background_job_payload"),
        Index(
            "background_job_pending",
            "lane",
            "type",
            "tenant",
            "run_at",
            "id",
            postgresql_where=text("state = 'PENDING'"),
        ),
        Index("background_job_running", "type", "lease_until", postgresql_where=text("state = 'RUNNING'")),
        Index("background_job_failed", "id", postgresql_where=text("state = 'FAILED'")),
        Index("background_job_hold", "type", "tenant", "hold", unique=True, postgresql_where=text("hold IS NOT NULL")),
    )


class JobAttempt(Base):
    """What went wrong in one run of a job: it failed, was lost, or was handed back.  A clean run leaves none."""

    __tablename__ = "job_attempt"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    job_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("background_job.id", ondelete="CASCADE"), index=True)
    generation: Mapped[int] = mapped_column(Integer)
    lease_no: Mapped[int] = mapped_column(Integer)
    ended_as: Mapped[str] = mapped_column(Key)
    error_type: Mapped[str | None] = mapped_column(Text)
    error: Mapped[str | None] = mapped_column(Text)
    trace: Mapped[str | None] = mapped_column(Text)
    started_at: Mapped[datetime | None] = mapped_column(Instant)
    ended_at: Mapped[datetime] = mapped_column(Instant, server_default=text("now()"))


class JobStep(Base):
    """A finished step of a job: a later run of the same generation takes its result from here."""

    __tablename__ = "job_step"

    job_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("background_job.id", ondelete="CASCADE"), primary_key=True
    )
    generation: Mapped[int] = mapped_column(Integer, primary_key=True)
    name: Mapped[str] = mapped_column(Key, primary_key=True)
    result: Mapped[Any] = mapped_column(JSONB)
    lease_no: Mapped[int] = mapped_column(Integer)
    finished_at: Mapped[datetime] = mapped_column(Instant, server_default=text("now()"))


class JobHold(Base):
    """What waits, why and until when: everything that goes by a name (a type, a resource, or all), maybe of one tenant.

    ``until`` NULL means until somebody lets it go.
    """

    __tablename__ = "job_hold"

    name: Mapped[str] = mapped_column(Key, primary_key=True)
    kind: Mapped[str] = mapped_column(Key)
    reason: Mapped[str] = mapped_column(Text)
    until: Mapped[datetime | None] = mapped_column(Instant)
    created_at: Mapped[datetime] = mapped_column(Instant, server_default=text("now()"))

    __table_args__ = (CheckConstraint("kind IN ('paused', 'busy', 'exhausted', 'over_budget')", name="job_hold_kind"),)


class JobLimit(Base):
    """A limit that runners keep: they lock this row, count what runs, and claim no more than may.

    ``types`` are those that share it, as runners said.  ``free_at`` is when a job may next start under the rate (jobs
    per second).  ``max_running`` and ``rate`` are what a runner last declared, for those who look.
    """

    __tablename__ = "job_limit"

    name: Mapped[str] = mapped_column(Key, primary_key=True)
    types: Mapped[list[str]] = mapped_column(ARRAY(Key))
    tenant: Mapped[str | None] = mapped_column(Key)
    max_running: Mapped[int | None] = mapped_column(Integer)
    rate: Mapped[float | None] = mapped_column(Double)
    free_at: Mapped[datetime] = mapped_column(Instant, server_default=text("'-infinity'"))
    noted_at: Mapped[datetime] = mapped_column(Instant, server_default=text("now()"))


class RunnerInvocation(Base):
    """One invocation of the runner: what it did, and when it last ended a job."""

    __tablename__ = "runner_invocation"

    id: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True)
    started_at: Mapped[datetime] = mapped_column(Instant)
    ended_at: Mapped[datetime] = mapped_column(Instant, index=True)
    last_completion_at: Mapped[datetime | None] = mapped_column(Instant)
    report: Mapped[dict[str, Any]] = mapped_column(JSONB)
