"""The first tables: jobs, their models and data sets, their events."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "1"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    _make_jobs()
    op.create_table(
        "tuning_job_parts",
        sa.Column("job_id", sa.String(26), primary_key=True),
        sa.Column("kind", sa.String(8), primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("name", sa.String(100), nullable=False),
    )
    op.create_index("tuning_job_parts_name", "tuning_job_parts", ["kind", "name", "job_id"])
    op.create_table(
        "tuning_events",
        sa.Column("job_id", sa.String(26), primary_key=True),
        sa.Column("n", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("data", sa.Text, nullable=False),
        sa.Column("at", sa.DateTime, nullable=False),
        sa.Column("mark", sa.String(64)),
    )
    op.create_index("tuning_events_mark", "tuning_events", ["job_id", "mark"], unique=True)


def _make_jobs() -> None:
    op.create_table(
        "tuning_jobs",
        sa.Column("id", sa.String(26), primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("request", sa.Text, nullable=False),
        sa.Column("request_hash", sa.String(64), nullable=False),
        sa.Column("idempotency_key", sa.String(255)),
        sa.Column("trials", sa.Integer),
        sa.Column("created", sa.DateTime, nullable=False),
        sa.Column("queued", sa.DateTime),
        sa.Column("started", sa.DateTime),
        sa.Column("ended", sa.DateTime),
        sa.Column("error", sa.Text),
        sa.Column("owner", sa.Text),
        sa.Column("claim", sa.String(32)),
        sa.Column("beat", sa.Integer, nullable=False),
        sa.Column("deaths", sa.Integer, nullable=False),
        sa.Column("events", sa.Integer, nullable=False),
    )
    op.create_index("tuning_jobs_status", "tuning_jobs", ["status", "id"])
    op.create_index("tuning_jobs_key", "tuning_jobs", ["idempotency_key"], unique=True)
