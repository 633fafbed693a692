"""A place that is kept for effects."""

revision = "0004_effects"
down_revision = "0003_limits"
branch_labels = None
depends_on = None


def upgrade() -> None: ...


def downgrade() -> None: ...
