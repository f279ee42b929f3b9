"""Studies being worked on: supervisor, workers, sessions."""
