"""Alarms: what makes the result of a sweep doubtful, with its number, its source, and an answer."""
