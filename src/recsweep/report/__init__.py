"""Views of the store: files that people and other programs read. Each can be rebuilt from it."""
