"""A sweep as it is written: documents, search spaces, config, loading."""
