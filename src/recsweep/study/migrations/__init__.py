"""The versions of the service's tables. Each file of `versions/` makes one of the one before, by Alembic."""
