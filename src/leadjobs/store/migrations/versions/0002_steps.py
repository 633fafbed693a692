"""Steps: what a job has finished of its work, so that a later run goes on from there."""

from alembic import op

revision = "0002_steps"
down_revision = "0001_engine"
branch_labels = None
depends_on = None

UP = """
CREATE TABLE job_step (
    job_id       bigint NOT NULL REFERENCES background_job (id) ON DELETE CASCADE,
    generation   integer NOT NULL,
    name         text COLLATE "C" NOT NULL,
    result       jsonb NOT NULL,
    lease_no     integer NOT NULL,
    finished_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (job_id, generation, name)
);
"""


def upgrade() -> None:
    op.execute(UP)


def downgrade() -> None:
    op.execute("DROP TABLE job_step")
