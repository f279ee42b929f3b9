"""Data sets: checked before the first trial, prepared once, cached by content."""
