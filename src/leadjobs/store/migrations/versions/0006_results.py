"""Results: how far a job is, and the value that it ended with."""

from alembic import op

revision = "0006_results"
down_revision = "0005_schedules"
branch_labels = None
depends_on = None

UP = """
CREATE TABLE job_result (
    job_id       bigint PRIMARY KEY REFERENCES background_job (id) ON DELETE CASCADE,
    generation   integer NOT NULL,
    lease_no     integer NOT NULL,
    progress     jsonb,
    progress_at  timestamptz,
    result       jsonb
);
"""


def upgrade() -> None:
    op.execute(UP)


def downgrade() -> None:
    op.execute("DROP TABLE job_result")
