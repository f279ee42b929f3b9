"""What every other package stands on: errors, names, paths, files, secrets, processes."""
