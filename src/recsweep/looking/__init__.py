"""What the store knows of its studies, as rows and texts: nothing else is read."""
