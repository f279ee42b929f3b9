"""The studies of a store, as rows and texts: nothing else is read."""
