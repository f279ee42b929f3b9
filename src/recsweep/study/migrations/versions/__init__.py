"""One file a version. They are never changed once they were released."""
