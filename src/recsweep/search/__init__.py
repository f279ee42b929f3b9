"""How a study searches: engines, pruning, limits, where it starts."""
