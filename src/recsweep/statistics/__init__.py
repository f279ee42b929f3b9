"""Statistics of scores: pure functions of arrays, without torch and without a store."""
