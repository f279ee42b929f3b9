"""The tables of the service: jobs, the models and data sets that each names, and what happened in each.

They stand beside Optuna's in a database. `migrations/` makes them, and changes them from version to version;
this file says how they are now. Trials are not here: they are where all trials are, and a job's studies are
those of the sweep that is named after it.
"""

from __future__ import annotations

from sqlalchemy import Column, DateTime, Index, Integer, MetaData, String, Table, Text

_ALL = MetaData()
MOST_OF_A_KEY = 255
"""Characters of an idempotency key."""

JOBS = Table(
    "tuning_jobs",
    _ALL,
    Column("id", String(26), primary_key=True),
    Column("name", Text, nullable=False),
    Column("status", String(16), nullable=False),
    Column("request", Text, nullable=False),
    Column("request_hash", String(64), nullable=False),
    Column("idempotency_key", String(MOST_OF_A_KEY)),
    Column("trials", Integer),
    Column("created", DateTime, nullable=False),
    Column("queued", DateTime),
    Column("started", DateTime),
    Column("ended", DateTime),
    Column("error", Text),
    Column("owner", Text),
    Column("claim", String(32)),
    Column("beat", Integer, nullable=False),
    Column("deaths", Integer, nullable=False),
    Column("events", Integer, nullable=False),
    Index("tuning_jobs_status", "status", "id"),
    Index("tuning_jobs_key", "idempotency_key", unique=True),
)
"""`claim` is a word of the claim that a job worker has on the job: who has another one has lost it. `beat`
counts signs of life, `deaths` the processes that died one after the other without a trial, `events` those
that were told."""

PARTS = Table(
    "tuning_job_parts",
    _ALL,
    Column("job_id", String(26), primary_key=True),
    Column("kind", String(8), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("name", String(100), nullable=False),
    Index("tuning_job_parts_name", "kind", "name", "job_id"),
)
"""`kind` is `model` or `dataset`."""

EVENTS = Table(
    "tuning_events",
    _ALL,
    Column("job_id", String(26), primary_key=True),
    Column("n", Integer, primary_key=True, autoincrement=False),
    Column("kind", String(32), nullable=False),
    Column("data", Text, nullable=False),
    Column("at", DateTime, nullable=False),
    Column("mark", String(64)),
    Index("tuning_events_mark", "job_id", "mark", unique=True),
)
"""`mark` names what is told of at most once: an epoch of a trial, its end."""

PROGRESS = Table(
    "tuning_progress",
    _ALL,
    Column("job_id", String(26), primary_key=True),
    Column("changed", Integer, nullable=False),
    Column("counted", Integer),
    Column("progress", Text),
)
"""How far each job is, as it was counted last. `changed` is another number after each change of a trial or a
study of it (`job_marks.py`), and what was counted holds where `counted` is that number. A table of its own,
for it changes often, and small rows are written quickly."""

MODEL, DATASET = "model", "dataset"
SWEEP = "job-"
"""The name of a job's sweep is its id behind that."""
