"""Tuning as a service: jobs that are made, watched and stopped over HTTP."""
