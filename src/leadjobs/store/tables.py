"""The engine's tables as mapped classes: for users' queries, and for Alembic.

The runner does not use these (it speaks plain SQL, see ``sql/``), so importing the engine does not load SQLAlchemy.
"""

import uuid
from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    Computed,
    Date,
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
    created_at: Mapped[datetime] = mapped_column(Instant, server_default=text("now()"))
    run_at: Mapped[datetime] = mapped_column(Instant, server_default=text("now()"))
    generation: Mapped[int] = mapped_column(Integer, server_default="1")
    attempts: Mapped[int] = mapped_column(Integer, server_default="0")
    losses: Mapped[int] = mapped_column(Integer, server_default="0")
    lease_no: Mapped[int] = mapped_column(Integer, server_default="0")
    lease_until: Mapped[datetime | None] = mapped_column(Instant)
    started_at: Mapped[datetime | None] = mapped_column(Instant)
    finished_at: Mapped[datetime | None] = mapped_column(Instant)
    state: Mapped[str] = mapped_column(Key, server_default="PENDING")
    reason: Mapped[str | None] = mapped_column(Text)
    lane: Mapped[str] = mapped_column(Key, server_default="live")
    type: Mapped[str] = mapped_column(Key)
    tenant: Mapped[str] = mapped_column(Key, server_default="")
    scope: Mapped[str] = mapped_column(Key, server_default="retained")
    dedupe_key: Mapped[str | None] = mapped_column(Key)
    hold: Mapped[str | None] = mapped_column(
        Key,
        Computed(
            "CASE WHEN scope = 'retained' OR state IN ('PENDING', 'RUNNING') THEN dedupe_key END",
            persisted=True,
        ),
    )
    next_payload: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    payload: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'::jsonb"))

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
        {"postgresql_with": {"fillfactor": 50}},
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


class JobResult(Base):
    """How far a job is, as its newest run said at ``progress_at``, and the value that it ended with, if it has one.

    Both are of ``generation``; where the job has a newer one by now, they are not its own any more.
    """

    __tablename__ = "job_result"

    job_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("background_job.id", ondelete="CASCADE"), primary_key=True
    )
    generation: Mapped[int] = mapped_column(Integer)
    lease_no: Mapped[int] = mapped_column(Integer)
    progress: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    progress_at: Mapped[datetime | None] = mapped_column(Instant)
    result: Mapped[Any | None] = mapped_column(JSONB)


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

    __table_args__ = (CheckConstraint("kind IN ('paused', 'busy', 'exhausted')", name="job_hold_kind"),)


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


class JobEffect(Base):
    """A call to the outside that changes something there: its intent, written before it, and its answer, after it.

    *intended*: no answer is known.  *accepted*: it was made, and ``receipt`` is what came back.  *refused*: it was
    certainly not made.  An intent whose ``lease_no`` is no longer its job's is *unknown*.  ``told_by`` says who knew:
    ``send``, ``look_up``, or a person.
    """

    __tablename__ = "job_effect"

    job_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("background_job.id", ondelete="CASCADE"), primary_key=True
    )
    generation: Mapped[int] = mapped_column(Integer, primary_key=True)
    name: Mapped[str] = mapped_column(Key, primary_key=True)
    tag: Mapped[str] = mapped_column(Key)
    state: Mapped[str] = mapped_column(Key, server_default="intended")
    receipt: Mapped[Any | None] = mapped_column(JSONB)
    lease_no: Mapped[int] = mapped_column(Integer)
    told_by: Mapped[str | None] = mapped_column(Text)
    intended_at: Mapped[datetime] = mapped_column(Instant, server_default=text("now()"))
    answered_at: Mapped[datetime | None] = mapped_column(Instant)

    __table_args__ = (
        CheckConstraint("state IN ('intended', 'accepted', 'refused')", name="job_effect_state"),
        CheckConstraint("(state = 'intended') = (answered_at IS NULL)", name="job_effect_answered"),
        Index("job_effect_unanswered", "job_id", postgresql_where=text("state = 'intended'")),
    )


class JobBudget(Base):
    """How much of a unit a tenant may spend in a day (UTC); the tenant ``*`` is each that has no row of its own."""

    __tablename__ = "job_budget"

    tenant: Mapped[str] = mapped_column(Key, primary_key=True)
    unit: Mapped[str] = mapped_column(Key, primary_key=True)
    cap_per_day: Mapped[int] = mapped_column(BigInteger)
    set_at: Mapped[datetime] = mapped_column(Instant, server_default=text("now()"))

    __table_args__ = (CheckConstraint("cap_per_day >= 0", name="job_budget_cap"),)


class JobBudgetDay(Base):
    """What a tenant has used of a unit in a day: what was settled, and what is reserved, at its reserved amount."""

    __tablename__ = "job_budget_day"

    tenant: Mapped[str] = mapped_column(Key, primary_key=True)
    unit: Mapped[str] = mapped_column(Key, primary_key=True)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    used: Mapped[int] = mapped_column(BigInteger)


class JobSpend(Base):
    """One amount that a run reserved before a call; ``actual`` is what the call took, where that was told.

    Without ``actual`` it counts as reserved, for ever: it may have been billed.  It outlives its job: money is on
    record as long as the row is kept.
    """

    __tablename__ = "job_spend"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    job_id: Mapped[int] = mapped_column(BigInteger)
    lease_no: Mapped[int] = mapped_column(Integer)
    generation: Mapped[int] = mapped_column(Integer)
    tenant: Mapped[str] = mapped_column(Key)
    day: Mapped[date] = mapped_column(Date)
    unit: Mapped[str] = mapped_column(Key)
    what: Mapped[str] = mapped_column(Text)
    reserved: Mapped[int] = mapped_column(BigInteger)
    actual: Mapped[int | None] = mapped_column(BigInteger)
    reserved_at: Mapped[datetime] = mapped_column(Instant, server_default=text("now()"))
    settled_at: Mapped[datetime | None] = mapped_column(Instant)

    __table_args__ = (
        CheckConstraint("reserved >= 0 AND actual >= 0", name="job_spend_amounts"),
        CheckConstraint("(actual IS NULL) = (settled_at IS NULL)", name="job_spend_settled"),
        Index("job_spend_day", "day"),
        Index("job_spend_unsettled", "tenant", "unit", "day", "id", postgresql_where=text("actual IS NULL")),
    )


class JobSchedule(Base):
    """A schedule that a runner has declared, and how far it has come.

    Ticks count from ``since`` on: the moment when it was first noted, got another expression or zone, or was resumed.
    ``last_tick`` is the newest tick that a job was enqueued for, and ``last_job_id`` that job, which may have been
    pruned since.  ``noted_at`` is when a runner last said that it has this schedule, to within an hour.
    """

    __tablename__ = "job_schedule"

    name: Mapped[str] = mapped_column(Key, primary_key=True)
    cron: Mapped[str] = mapped_column(Text)
    tz: Mapped[str] = mapped_column(Text)
    type: Mapped[str] = mapped_column(Key)
    tenant: Mapped[str] = mapped_column(Key, server_default="")
    since: Mapped[datetime] = mapped_column(Instant, server_default=text("now()"))
    last_tick: Mapped[datetime | None] = mapped_column(Instant)
    last_job_id: Mapped[int | None] = mapped_column(BigInteger)
    paused_at: Mapped[datetime | None] = mapped_column(Instant)
    paused_by: Mapped[str | None] = mapped_column(Text)
    noted_at: Mapped[datetime] = mapped_column(Instant, server_default=text("now()"))


class JobSweep(Base):
    """How far a sweep over the job table has come: everything up to the id ``place`` was looked at in this round."""

    __tablename__ = "job_sweep"

    name: Mapped[str] = mapped_column(Key, primary_key=True)
    place: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    rounds: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    moved_at: Mapped[datetime] = mapped_column(Instant, server_default=text("now()"))
