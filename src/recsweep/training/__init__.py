"""One trial: its training, with fast paths of equal results."""
