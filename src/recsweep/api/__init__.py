"""recsweep from Python: tune a sweep, look at what was found."""
