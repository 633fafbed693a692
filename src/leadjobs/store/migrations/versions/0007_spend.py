"""Spend: what is unsettled of a day, the newest first."""

from alembic import op

revision = "0007_spend"
down_revision = "0006_results"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("DROP INDEX job_spend_unsettled")
    op.execute("CREATE INDEX job_spend_unsettled ON job_spend (tenant, unit, day, id) WHERE actual IS NULL")


def downgrade() -> None:
    op.execute("DROP INDEX job_spend_unsettled")
    op.execute("CREATE INDEX job_spend_unsettled ON job_spend (tenant, unit, day) WHERE actual IS NULL")
