"""How far each job is, kept with it, and the triggers that say when that holds no longer."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from recsweep.study.job_marks import make_marks

revision = "2"
down_revision = "1"


def upgrade() -> None:
    """Make the table, with a row for each job of which nothing is counted yet."""
    op.create_table(
        "tuning_progress",
        sa.Column("job_id", sa.String(26), primary_key=True),
        sa.Column("changed", sa.Integer, nullable=False),
        sa.Column("counted", sa.Integer),
        sa.Column("progress", sa.Text),
    )
    op.execute("INSERT INTO tuning_progress (job_id, changed) SELECT id, 0 FROM tuning_jobs")
    make_marks(op.get_bind())
