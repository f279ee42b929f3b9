"""Studies as trackers show them: read from the store, sent once each, by a process of their own."""
