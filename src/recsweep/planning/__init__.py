"""From a sweep to its studies: checked, then planned."""
