"""Limits (how many at once, how often), holds (what waits for a time or a person) and the lane *retry*."""

from alembic import op

revision = "0003_limits"
down_revision = "0002_steps"
branch_labels = None
depends_on = None

UP = """
ALTER TABLE background_job DROP CONSTRAINT background_job_lane;
ALTER TABLE background_job ADD CONSTRAINT background_job_lane
    CHECK (lane IN ('live', 'retry', 'backfill', 'alone')) NOT VALID;
ALTER TABLE background_job VALIDATE CONSTRAINT background_job_lane;

DROP INDEX background_job_running;
CREATE INDEX background_job_running ON background_job (type, lease_until) WHERE state = 'RUNNING';

CREATE TABLE job_hold (
    name        text COLLATE "C" PRIMARY KEY,
    kind        text COLLATE "C" NOT NULL,
    reason      text NOT NULL,
    until       timestamptz,
    created_at  timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT job_hold_kind CHECK (kind IN ('paused', 'busy', 'exhausted'))
);

CREATE TABLE job_limit (
    name         text COLLATE "C" PRIMARY KEY,
    types        text[] COLLATE "C" NOT NULL,
    tenant       text COLLATE "C",
    max_running  integer,
    rate         double precision,
    free_at      timestamptz NOT NULL DEFAULT '-infinity',
    noted_at     timestamptz NOT NULL DEFAULT now()
);
"""


def upgrade() -> None:
    op.execute(UP)


def downgrade() -> None:
    op.execute(
        "DROP TABLE job_limit, job_hold;"
        " UPDATE background_job SET lane = 'live' WHERE lane = 'retry';"
        " ALTER TABLE background_job DROP CONSTRAINT background_job_lane;"
        " ALTER TABLE background_job ADD CONSTRAINT background_job_lane CHECK (lane IN ('live', 'backfill', 'alone'));"
        " DROP INDEX background_job_running;"
        " CREATE INDEX background_job_running ON background_job (lease_until) WHERE state = 'RUNNING'"
    )
