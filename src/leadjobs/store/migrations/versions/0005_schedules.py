"""Schedules, and the places of sweeps that walk the job table."""

from alembic import op

revision = "0005_schedules"
down_revision = "0004_effects"
branch_labels = None
depends_on = None

UP = """
CREATE TABLE job_schedule (
    name         text COLLATE "C" PRIMARY KEY,
    cron         text NOT NULL,
    tz           text NOT NULL,
    type         text COLLATE "C" NOT NULL,
    tenant       text COLLATE "C" NOT NULL DEFAULT '',
    since        timestamptz NOT NULL DEFAULT now(),
    last_tick    timestamptz,
    last_job_id  bigint,
    paused_at    timestamptz,
    paused_by    text,
    noted_at     timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE job_sweep (
    name      text COLLATE "C" PRIMARY KEY,
    place     bigint NOT NULL DEFAULT 0,
    rounds    bigint NOT NULL DEFAULT 0,
    moved_at  timestamptz NOT NULL DEFAULT now()
);
INSERT INTO job_sweep (name) VALUES ('prune');
"""


def upgrade() -> None:
    op.execute(UP)


def downgrade() -> None:
    op.execute("DROP TABLE job_sweep, job_schedule")
